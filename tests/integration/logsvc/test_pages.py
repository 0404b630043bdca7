"""What the pages beside the live one say of a past that is known, on a desktop and a phone, to eyes and to a reader."""

import re

import pytest
from playwright.async_api import expect

from tests.accessibility import expect_accessible
from tests.browser import open_page
from tests.integration.logsvc.house import House
from tests.integration.logsvc.recent import DECLINED
from tests.pictures import look

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_errors_are_groups_with_their_trend_their_places_and_the_deploy_before(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        await page.goto(f"{lately.url}/errors")
        groups = page.get_by_test_id("error-group")
        await expect(groups).to_have_count(3)
        declined = page.locator(f"[data-fingerprint={DECLINED}]")
        await expect(declined).to_contain_text("36 failures, all for good")
        await expect(declined).to_contain_text("new")
        await look(page, "errors")
        await page.get_by_role("group", name="How far back").get_by_role("button", name="30d").click()
        await page.wait_for_url("**/errors?range=30d")
        async with page.expect_download() as saved:
            await page.get_by_test_id("table-export").click()
        rows = (await (await saved.value).path()).read_text().splitlines()
        assert len(rows) == 1 + 3
        assert rows[0].startswith("fingerprint,")
        await expect(page.locator("main")).to_contain_text("3 kinds in the last 30 days")
        await page.get_by_test_id("env-filter").select_option("staging")
        await expect(groups).to_have_count(1)
        await page.get_by_test_id("env-filter").select_option("")
        await page.keyboard.press("Escape")
        await page.keyboard.press("/")
        await page.keyboard.type("declined")
        await expect(groups).to_have_count(1)
        await page.keyboard.press("Escape")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")

        await expect(page.get_by_role("heading", name="PaymentError")).to_be_visible()
        await expect(page.locator("main")).to_contain_text("4 min after shop 2026.11.3 (CI)")
        await expect(page.locator("main")).to_contain_text("Not known now")
        await expect(page.get_by_role("link", name="#4035")).to_be_visible()
        await expect(page.locator("main")).to_contain_text("charge.js:88:13")
        await look(page, "error")
        await page.get_by_test_id("range-any").click()
        await page.get_by_role("button", name="Show").click()
        await page.wait_for_url("**/errors/*from=*")
        await expect(page.get_by_role("heading", name="PaymentError")).to_be_visible()


async def test_back_leads_to_the_place_and_the_search_that_were_left(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        await page.set_viewport_size({"width": 390, "height": 420})
        await page.goto(f"{lately.url}/errors?range=30d")
        await expect(page.get_by_test_id("error-group")).to_have_count(3)
        await page.locator(".sheet").evaluate("(sheet) => sheet.scrollTo(0, 150)")
        await page.get_by_role("link", name="SMTPError").click()
        await expect(page).to_have_title("SMTPError · Tocsin")
        await page.go_back()
        await page.wait_for_function("document.querySelector('main').lastElementChild.scrollTop === 150")
        await expect(page).to_have_title("Errors · Tocsin")
        is_longer = "document.documentElement.scrollHeight > innerHeight"
        assert not await page.evaluate(is_longer), "only the sheet scrolls, not the page with its header"
        await page.get_by_role("link", name="SMTPError").click()
        await page.locator("main").get_by_role("link", name="Errors", exact=True).click()
        await page.wait_for_url("**/errors?range=30d")


async def test_system_says_what_is_not_well_and_what_to_do(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        await page.goto(f"{lately.url}/system")
        findings = page.get_by_test_id("findings")
        for words in ("Redis of stage does not answer", "allkeys-lru", "218 events were lost", "1 record could not be"):
            await expect(findings).to_contain_text(words)
        await look(page, "system")
        letter = page.get_by_test_id("dead-letter")
        await letter.locator("summary").click()
        await expect(letter).to_contain_text("redis:main:reports:17-0")
        await expect(letter).to_contain_text('"jobId": "17"')
        await expect_accessible(page)
        await page.get_by_role("link", name="Lines around it").click()
        await expect(page.get_by_test_id("live-row").first).to_be_visible()


async def test_schedulers_show_what_is_overdue_first(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        await page.goto(f"{lately.url}/schedulers")
        rows = page.get_by_test_id("scheduler-row")
        await expect(rows).to_have_count(3)
        await expect(rows.first).to_contain_text("ledger-close")
        await expect(rows.first).to_contain_text(re.compile(r"\d runs missed"))
        await expect(rows.first).to_contain_text(re.compile(r"[1-9]\d min late"))
        await expect(rows.filter(has_text="nightly-report")).to_contain_text("failed")
        await look(page, "schedulers")


async def test_what_an_environment_has_none_of_is_said_of_it_alone(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        main = page.get_by_role("main")
        await page.goto(f"{lately.url}/system?env=staging")
        await expect(main).to_contain_text("None in staging: every event was read")
        await page.goto(f"{lately.url}/system?env=qa")
        await expect(main).to_contain_text("No source in qa.")
        await page.goto(f"{lately.url}/schedulers?env=qa")
        await expect(main).to_contain_text("No queue in qa has a job scheduler")
        await page.goto(f"{lately.url}/errors/{DECLINED}?env=staging")
        await expect(main).to_contain_text("This counts every environment")
        await page.goto(f"{lately.url}/errors/{DECLINED}?env=prod")
        await expect(main).to_contain_text("charge.js:88:13")
        await expect(main).not_to_contain_text("This counts every environment")


async def test_what_depends_on_who_asks_says_that_this_is_not_known_and_comes_back(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        await page.route("**/api/v1/me", lambda route: route.abort())
        trouble = page.get_by_test_id("trouble")
        await page.goto(f"{lately.url}/incidents")
        await expect(trouble).to_contain_text("Incidents cannot be had just now")
        await page.goto(f"{lately.url}/account")
        await expect(trouble).to_contain_text("Your account cannot be had just now")
        await page.unroute("**/api/v1/me")
        await trouble.get_by_role("button", name="Try now").click()
        await expect(page.get_by_role("heading", name="You", exact=True)).to_be_visible()
        await expect(trouble).to_have_count(0)


async def test_a_queue_and_its_jobs_belong_to_queues_and_a_job_leads_to_its_trace(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        section = page.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name="Queues")
        await page.goto(f"{lately.url}/queue/main/payments.capture")
        await expect(page.get_by_test_id("queue-failing")).to_contain_text("do_not_honor")
        await expect(page.get_by_test_id("queue-charts").get_by_role("slider")).to_have_count(6)
        await expect(section).to_have_attribute("aria-current", "page")
        await look(page, "queue")
        await page.get_by_test_id("recent-failures").get_by_role("link").first.click()
        await expect(page.get_by_test_id("job-head")).to_contain_text("Failed at its only attempt")
        await expect(section).to_have_attribute("aria-current", "page")
        trace = page.get_by_test_id("job-head").get_by_role("link", name="Open trace")
        await expect(trace).to_have_attribute("href", "https://traces.example.com/4bf92f")
        await expect_accessible(page)

        await page.goto(f"{lately.url}/job/main/reports/990")
        await page.get_by_role("link", name="nightly-report").click()
        await expect(page.get_by_test_id("scheduler-row")).to_have_count(1)
        await expect(page.get_by_label("Find a scheduler")).to_have_value("nightly-report")


async def test_the_live_page_with_a_line_open_is_accessible(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        await page.goto(f"{lately.url}/logs")
        await page.get_by_test_id("live-row").filter(has_text="do_not_honor").first.click()
        await expect(page.get_by_test_id("row-detail")).to_contain_text("charge.js:88:13")
        await expect(page.get_by_test_id("histogram").get_by_role("slider")).to_be_visible()
        await look(page, "live-detail")


async def test_a_file_tells_on_the_page_how_far_it_is(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        await page.goto(f"{lately.url}/queue/main/payments.capture")
        async with page.expect_download() as saved:
            await page.get_by_test_id("export-csv").click()
        last = (await (await saved.value).path()).read_text().splitlines()[-1]
        progress = page.get_by_test_id("export-progress")
        await expect(progress).to_contain_text(f"All {last.removeprefix('# complete: ')}")
        await expect_accessible(page)
        await progress.get_by_role("button", name="Close").click()
        await expect(progress).to_have_count(0)
