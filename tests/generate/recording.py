"""Record the demo for the README: it rings, the cause, the retry, and what became of it.

`python -m tests.generate.recording [--out FILE] [--data DIR]` starts a demo of its own, waits until its sample app's
customer is down (the first minute of every five, by the clock), does on a phone-sized screen what somebody on call
would, and writes one animated WebP. It needs chromium (tests/install.sh chromium).
"""

import argparse
import asyncio
import contextlib
import io
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import httpx
from PIL import Image, ImageDraw, ImageFont
from playwright.async_api import Locator, Page, async_playwright, expect

from tests.browser import QUIET
from tocsin.stack.workload import webhooks

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "screenshots" / "recording.webp"
SCREEN, SCALE, QUALITY = (400, 720), 1.5, 80
STRIP = 44
MOST_BYTES = 1_500_000
CAUSE = "DeliveryFailed"
HIDE_PATH = """root => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll(root, "/app/");
}"""
"""Where the code lies on this machine is nobody's business: the sample app's stacks name it."""
STARTS_SECONDS, RINGS_SECONDS, OUTCOME_SECONDS = 300, 400, 120


@dataclass(frozen=True)
class Frame:
    """A picture, how long it is shown, what stands below it, and where a finger is on it (in CSS pixels)."""

    picture: bytes
    seconds: float
    caption: str
    tap: tuple[float, float] | None = None


@dataclass
class Camera:
    """Takes frames of one page."""

    page: Page
    frames: list[Frame]

    async def take(
        self, caption: str, seconds: float, tap: Locator | None = None, *, shown: Locator | None = None
    ) -> None:
        """tap: what is going to be pressed. shown: what must be in sight."""
        point = None
        await self.page.evaluate(HIDE_PATH, f"{ROOT}/")
        if shown is not None:
            await shown.evaluate("element => element.scrollIntoView({ block: 'end' })")
        if tap is not None:
            await tap.scroll_into_view_if_needed()
            box = await tap.bounding_box()
            assert box is not None, "what is to be pressed is not to be seen"
            point = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.frames.append(Frame(await self.page.screenshot(), seconds, caption, point))


@dataclass(frozen=True)
class Addresses:
    """Of a running demo."""

    page: str
    chat: str


@contextlib.asynccontextmanager
async def demo(data: Path) -> AsyncGenerator[Addresses]:
    """A demo until the block ends."""
    command = ("-m", "tocsin.cli", "up", "--demo", "--data", str(data))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(STARTS_SECONDS):
            found = await _announced(process)
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), 60)


async def _announced(process: asyncio.subprocess.Process) -> Addresses:
    """Where it says it is, once it is ready."""
    assert process.stdout is not None
    said = ""
    async for line in process.stdout:
        print(line.decode().rstrip(), flush=True)
        said += line.decode()
        page, chat = re.search(r"live page +(http\S+)/logs", said), re.search(r"Telegram chat (http\S+)", said)
        if page and chat:
            return Addresses(page[1], chat[1])
    raise SystemExit("the demo ended before it was ready")


async def record(at: Addresses) -> list[Frame]:
    """The four moments."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not there; get it with: tests/install.sh chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=QUIET)
        page = await browser.new_page(
            viewport={"width": SCREEN[0], "height": SCREEN[1]}, device_scale_factor=SCALE, color_scheme="light"
        )
        page.set_default_timeout(30_000)
        camera = Camera(page, [])
        await page.goto(at.chat)
        await _rings(camera)
        await _cause(camera, at.page)
        await page.goto(at.chat)
        await _retry(camera, page.locator("#messages > div", has_text=CAUSE).last)
        await browser.close()
    return camera.frames


async def _rings(camera: Camera) -> None:
    message = camera.page.locator("#messages > div", has_text=CAUSE).last
    await expect(message).to_be_visible(timeout=RINGS_SECONDS * 1000)
    await camera.take("It rings: what fails, where, since when", 2.5, shown=message)
    await expect(message).to_contain_text(re.compile(rf"{CAUSE} ×\d\d"), timeout=RINGS_SECONDS * 1000)
    await camera.take("The same message counts on", 2.0, shown=message)


async def _cause(camera: Camera, page: str) -> None:
    """The page of the newest such job, where a button of the card leads if PUBLIC_URL is an address for others."""
    async with httpx.AsyncClient(base_url=page, timeout=20) as client:
        asked = {"state": "failed", "q": CAUSE, "limit": 1}
        [job] = (await client.get("/api/v1/jobs", params=asked)).raise_for_status().json()["items"]
    await camera.page.goto(f"{page}/job/{job['source']}/{job['queue']}/{job['job_id']}")
    await expect(camera.page.get_by_text(CAUSE).first).to_be_visible()
    await camera.take("The cause: each attempt with its own error", 2.5)
    await camera.page.mouse.move(SCREEN[0] / 2, SCREEN[1] / 2)
    await camera.page.mouse.wheel(0, SCREEN[1] * 0.6)
    await asyncio.sleep(0.5)  # the page scrolls smoothly; nothing of it says when it has
    await camera.take("The cause: each attempt with its own error", 2.5)


async def _retry(camera: Camera, message: Locator) -> None:
    page = camera.page
    button = message.get_by_role("button", name=re.compile("Retry these"))
    await expect(button).to_be_visible()
    while webhooks.is_down(time.time()):  # noqa: ASYNC110  # a clock sets no event; it is a minute at most
        await asyncio.sleep(1)
    await camera.take("Mended? Retry them all", 2.0, button, shown=message)
    await button.click()
    question = page.locator("#messages > div", has_text="Confirm within").last
    yes = question.get_by_role("button", name=re.compile("Yes, retry"))
    await expect(yes).to_be_visible()
    await camera.take("Counted first, and confirmed", 2.5, yes, shown=question)
    same = page.locator(f'#messages > div[data-id="{await question.get_attribute("data-id")}"]')
    await yes.click()
    await expect(same).to_contain_text(re.compile(r"retried: .*completed"), timeout=OUTCOME_SECONDS * 1000)
    await expect(page.locator("#toast")).to_be_hidden()
    await camera.take("Followed to the end of each job", 2.0, shown=same)
    await expect(same).not_to_contain_text("on their way", timeout=OUTCOME_SECONDS * 1000)
    await camera.take("What became of them", 4.0, shown=same)


def animate(frames: list[Frame]) -> bytes:
    """One WebP that begins anew when it is over."""
    pictures = [drawn(frame) for frame in frames]
    whole = io.BytesIO()
    pictures[0].save(
        whole,
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=[int(frame.seconds * 1000) for frame in frames],
        loop=0,
        quality=QUALITY,
        method=6,
    )
    return whole.getvalue()


def drawn(frame: Frame) -> Image.Image:
    """A frame with its finger and its caption."""
    picture = Image.open(io.BytesIO(frame.picture)).convert("RGB")
    if frame.tap is not None:
        finger = Image.new("RGBA", picture.size, (0, 0, 0, 0))
        x, y, radius = frame.tap[0] * SCALE, frame.tap[1] * SCALE, 22 * SCALE
        circle = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(finger).ellipse(circle, fill=(30, 90, 220, 70), outline=(30, 90, 220, 200), width=3)
        picture = Image.alpha_composite(picture.convert("RGBA"), finger).convert("RGB")
    strip = int(STRIP * SCALE)
    whole = Image.new("RGB", (picture.width, picture.height + strip), (24, 28, 36))
    whole.paste(picture, (0, 0))
    font = ImageFont.load_default(size=int(17 * SCALE))
    middle = (picture.width / 2, picture.height + strip / 2)
    ImageDraw.Draw(whole).text(middle, frame.caption, font=font, fill=(240, 242, 246), anchor="mm")
    return whole


async def main() -> None:
    parser = argparse.ArgumentParser(description="Record the demo for the README.")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--data", type=Path, help="data of the demo; default a fresh directory, taken away again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-recording-") as fresh:
        async with demo(given.data or Path(fresh)) as at:
            frames = await record(at)
    film = animate(frames)
    assert len(film) < MOST_BYTES, f"{len(film)} bytes are too many for a README"
    given.out.write_bytes(film)
    print(f"{given.out}: {len(frames)} frames, {len(film) / 1024:.0f} KiB")


if __name__ == "__main__":
    asyncio.run(main())
