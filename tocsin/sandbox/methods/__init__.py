"""The Bot API's methods, by subject. `METHODS` is all the sandbox knows; any other name answers 404."""

from tocsin.sandbox.methods import account, callbacks, chats, files, messages, updates
from tocsin.sandbox.methods.method import Method

METHODS: dict[str, Method] = {
    method.name.lower(): method
    for method in (
        Method("getMe", account.get_me),
        Method("setMyCommands", account.set_my_commands),
        Method("getMyCommands", account.get_my_commands),
        Method("deleteMyCommands", account.delete_my_commands),
        Method("getUpdates", updates.get_updates),
        Method("setWebhook", updates.set_webhook),
        Method("deleteWebhook", updates.delete_webhook),
        Method("getWebhookInfo", updates.get_webhook_info),
        Method("sendMessage", messages.send_message, is_paced=True),
        Method("editMessageText", messages.edit_message_text, is_paced=True),
        Method("editMessageCaption", messages.edit_message_caption, is_paced=True),
        Method("editMessageMedia", files.edit_message_media, is_paced=True),
        Method("editMessageReplyMarkup", messages.edit_message_reply_markup, is_paced=True),
        Method("deleteMessage", messages.delete_message),
        Method("deleteMessages", messages.delete_messages),
        Method("sendDocument", files.send_document, is_paced=True),
        Method("sendPhoto", files.send_photo, is_paced=True),
        Method("getFile", files.get_file),
        Method("answerCallbackQuery", callbacks.answer_callback_query),
        Method("getChat", chats.get_chat),
        Method("getChatMember", chats.get_chat_member),
        Method("getChatMemberCount", chats.get_chat_member_count),
        Method("getChatAdministrators", chats.get_chat_administrators),
        Method("sendChatAction", chats.send_chat_action),
        Method("leaveChat", chats.leave_chat),
    )
}
"""By the name in small letters: Telegram does not look at case."""
