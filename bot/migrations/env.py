"""Run the migrations on the connection that bot/store/migrate.py hands over, inside its transaction."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, transactional_ddl=True, version_table=context.config.attributes["version_table"]
)
with context.begin_transaction():
    context.run_migrations()
