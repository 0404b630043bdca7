"""The bot's HTTP API for the other services, below /internal/v1, by TOCSIN_SERVICE_TOKEN. The proxy lets nobody in."""
