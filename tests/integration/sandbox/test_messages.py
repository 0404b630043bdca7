"""python-telegram-bot sends, edits and deletes, and meets Telegram's limits."""

import pytest
from telegram import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    InputMediaPhoto,
    LinkPreviewOptions,
    Message,
    ReplyParameters,
)
from telegram.constants import ChatAction, ParseMode
from telegram.error import BadRequest

from tests.servers.sandbox import CHAT, Running, refused
from tocsin.sandbox.errors import NOT_MODIFIED

ACK = InlineKeyboardMarkup([[InlineKeyboardButton("Ack", callback_data="a1:x")]])
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c626001000000050001"
    "0d0a2db40000000049454e44ae426082"
)


async def test_html_becomes_text_and_entities(running: Running):
    async with running.bot() as bot:
        source = (
            '<b>orders</b> &lt;x&gt; 😀 <a href="http://127.0.0.1:9001/logs?a=1&amp;b=2">log</a>\n<pre>at f()</pre>'
        )
        sent = await bot.send_message(
            CHAT, source, parse_mode=ParseMode.HTML, link_preview_options=LinkPreviewOptions(is_disabled=True)
        )
    assert sent.text == "orders <x> 😀 log\nat f()"
    marked = {entity.type: (text, entity.url) for entity, text in sent.parse_entities().items()}
    assert marked == {
        "bold": ("orders", None),
        "text_link": ("log", "http://127.0.0.1:9001/logs?a=1&b=2"),
        "pre": ("at f()", None),
    }
    assert (await running.messages())[0]["text"] == sent.text


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("<p>x</p>", 'Unsupported start tag "p" at byte offset 0'),
        ("é <b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("é x</b>", "Unexpected end tag at byte offset 4"),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("a < b", 'Unsupported start tag "" at byte offset 2'),
        ('<a href="x', "Unclosed start tag at byte offset 0"),
    ],
)
async def test_broken_html_is_refused_in_telegrams_words(running: Running, source: str, error: str):
    async with running.bot() as bot:
        with refused(BadRequest, f"can't parse entities: {error}"):
            await bot.send_message(CHAT, source, parse_mode=ParseMode.HTML)
    assert running.calls("sendMessage")[0].description == f"Bad Request: can't parse entities: {error}"
    assert await running.messages() == []


async def test_length_counts_utf16_units_after_parsing(running: Running):
    async with running.bot() as bot:
        longest = await bot.send_message(CHAT, "<b>" + "😀" * 2048 + "</b>", parse_mode=ParseMode.HTML)
        assert longest.text == "😀" * 2048
        with refused(BadRequest, "Message is too long"):
            await bot.send_message(CHAT, "😀" * 2048 + "x")
        with refused(BadRequest, "Message text is empty"):
            await bot.send_message(CHAT, "")
        with refused(BadRequest, "Text must be non-empty"):
            await bot.send_message(CHAT, "<b> </b>", parse_mode=ParseMode.HTML)


async def test_buttons_have_limits(running: Running):
    def one(**button: str) -> InlineKeyboardMarkup:
        return InlineKeyboardMarkup([[InlineKeyboardButton("x", **button)]])  # pyright: ignore[reportArgumentType]  # names differ per case

    async with running.bot() as bot:
        sent = await bot.send_message(CHAT, "x", reply_markup=one(callback_data="é" * 32))
        assert sent.reply_markup is not None
        with refused(BadRequest, "BUTTON_DATA_INVALID"):
            await bot.send_message(CHAT, "x", reply_markup=one(callback_data="é" * 32 + "x"))
        with refused(BadRequest, "Inline keyboard button URL 'http://localhost:9001' is invalid: Wrong HTTP URL"):
            await bot.send_message(CHAT, "x", reply_markup=one(url="http://localhost:9001"))
        text_only = "Text buttons are unallowed in the inline keyboard"
        with refused(BadRequest, f"Can't parse inline keyboard button: {text_only}"):
            await bot.send_message(CHAT, "x", reply_markup=one())
        await bot.send_message(CHAT, "x", reply_markup=one(url="http://127.0.0.1:9001/logs"))
    assert len(await running.messages()) == 2


async def test_edits_are_applied_and_marked(running: Running):
    async with running.bot() as bot:
        sent = await bot.send_message(CHAT, "one", reply_markup=ACK)

        async def edit(text: str) -> Message:
            edited = await bot.edit_message_text(text, CHAT, sent.message_id, parse_mode="HTML", reply_markup=ACK)
            assert isinstance(edited, Message)
            return edited

        edited = await edit("<i>two</i>")
        assert (edited.text, edited.reply_markup) == ("two", ACK)
        assert edited.edit_date is not None
        with refused(BadRequest, NOT_MODIFIED):
            await edit("<i>two</i> ")
        bare = await bot.edit_message_reply_markup(CHAT, sent.message_id)
        assert isinstance(bare, Message)
        assert bare.reply_markup is None
        with refused(BadRequest, NOT_MODIFIED):
            await bot.edit_message_reply_markup(CHAT, sent.message_id)
        with refused(BadRequest, "Message to edit not found"):
            await bot.edit_message_text("x", CHAT, 99)
    (kept,) = await running.messages()
    assert (kept["text"], kept["entities"][0]["type"], "reply_markup" in kept) == ("two", "italic", False)


async def test_only_the_bots_own_texts_can_be_edited(running: Running):
    theirs = (await running.say("hello"))["message"]["message_id"]
    async with running.bot() as bot:
        with refused(BadRequest, "Message can't be edited"):
            await bot.edit_message_text("x", CHAT, theirs)
        document = await bot.send_document(CHAT, b"a,b\n", filename="q.csv")
        with refused(BadRequest, "There is no text in the message to edit"):
            await bot.edit_message_text("x", CHAT, document.message_id)
        await bot.edit_message_caption(CHAT, document.message_id, caption="now with words")


async def test_deleted_ids_are_not_given_again(running: Running):
    async with running.bot() as bot:
        first = await bot.send_message(CHAT, "x")
        assert await bot.delete_message(CHAT, first.message_id)
        with refused(BadRequest, "Message to delete not found"):
            await bot.delete_message(CHAT, first.message_id)
        second = await bot.send_message(CHAT, "y")
    assert second.message_id > first.message_id


async def test_replies_and_silence(running: Running):
    asked = (await running.say("/queues"))["message"]["message_id"]
    async with running.bot() as bot:
        answer = await bot.send_message(
            CHAT, "here", reply_parameters=ReplyParameters(asked), disable_notification=True
        )
        assert answer.reply_to_message is not None
        assert answer.reply_to_message.text == "/queues"
        with refused(BadRequest, "Message to be replied not found"):
            await bot.send_message(CHAT, "x", reply_parameters=ReplyParameters(99))
        lone = await bot.send_message(CHAT, "x", reply_parameters=ReplyParameters(99, allow_sending_without_reply=True))
        assert lone.reply_to_message is None
    assert [call.is_silent for call in running.calls("sendMessage")] == [True, False, False]


async def test_files_go_up_and_come_down(running: Running):
    content = bytes(range(256)) * 40 + b"\r\n--x\r\n"
    async with running.bot() as bot:
        name = 'a "b" é.csv'
        document = await bot.send_document(CHAT, content, filename=name, caption="<b>all</b>", parse_mode="HTML")
        assert document.document is not None
        assert (document.caption, document.document.file_size) == ("all", len(content))
        assert document.document.file_name == name
        again = await bot.send_document(CHAT, document.document.file_id)
        assert again.document == document.document
        fetched = await (await bot.get_file(document.document.file_id)).download_as_bytearray()
        assert bytes(fetched) == content
        photo = await bot.send_photo(CHAT, InputFile(PIXEL, filename="chart.png"))
        assert [(size.width, size.height) for size in photo.photo] == [(1, 1)]
        with refused(BadRequest, "image_process_failed"):
            await bot.send_photo(CHAT, b"not a picture")
        await bot.edit_message_caption(CHAT, photo.message_id, caption="words")
        newer = InputMediaPhoto(PIXEL, "<b>newer</b>", parse_mode="HTML")
        edited = await bot.edit_message_media(newer, CHAT, photo.message_id, reply_markup=ACK)
        assert isinstance(edited, Message)
        assert (edited.caption, edited.reply_markup) == ("newer", ACK)
        assert edited.photo[0].file_id != photo.photo[0].file_id
        with refused(BadRequest, "image_process_failed"):
            await bot.edit_message_media(InputMediaPhoto(b"not a picture"), CHAT, photo.message_id)
        with refused(BadRequest, "There is no text in the message to edit"):
            await bot.edit_message_text("x", CHAT, photo.message_id)
        text = await bot.send_message(CHAT, "a text")
        turned = await bot.edit_message_media(newer, CHAT, text.message_id)
        assert isinstance(turned, Message)
        assert (turned.text, turned.caption) == (None, "newer")
    shown = await running.people.get(f"/sandbox/files/{photo.photo[0].file_id}")
    assert (shown.headers["content-type"], shown.content) == ("image/png", PIXEL)
    stored = await running.people.get(f"/sandbox/files/{document.document.file_id}")
    assert stored.headers["content-disposition"] == "attachment"


async def test_actions_and_unknown_chats(running: Running):
    async with running.bot() as bot:
        assert await bot.send_chat_action(CHAT, ChatAction.TYPING)
        with refused(BadRequest, "Wrong parameter action in request"):
            await bot.send_chat_action(CHAT, "dancing")
        with refused(BadRequest, "Chat not found"):
            await bot.send_message(4242, "x")
