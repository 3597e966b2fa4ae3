"""What is wrong, with its remedy; and settings that are in force at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from page_kit import BROWSER, PHONE, Opened, expect
from playwright.async_api import ViewportSize
from support.music import tone

from nomarr import Library

pytestmark = BROWSER


async def test_what_is_wrong_is_shown_with_its_remedy(music: Opened, library: Library) -> None:
    shutil.rmtree(library.root_path)
    await expect(music.card("Music").locator(".state")).to_have_text("offline")
    await expect(music.card("Music").locator(".reason")).to_be_visible()
    (wrong,) = [check for check in await music.nomarr.doctor.check_database() if check.status == "error"]
    assert wrong.remedy is not None
    problems = music.page.get_by_role("region", name="Something is wrong")
    await expect(problems).to_contain_text(wrong.remedy)
    await music.page.get_by_role("link", name="Health").click()
    await expect(music.page.locator("#health-wrong")).to_contain_text(wrong.detail)
    await expect(music.page.locator("#health-wrong pre").first).to_have_text(wrong.remedy)


async def test_health_is_looked_at_again_on_demand(music: Opened) -> None:
    await music.page.get_by_role("link", name="Health").click()
    await expect(music.page.get_by_role("row", name="Music")).to_contain_text("watching")
    await music.button("Check again").click()
    await expect(music.page.locator("#announcer")).to_have_text(
        await music.page.locator("#health-summary").inner_text()
    )
    await music.page.get_by_text("What is in order").click()
    await expect(music.page.locator("#health-fine")).to_contain_text("python")


async def test_a_setting_takes_effect_at_once(music: Opened, library: Library) -> None:
    music.nomarr.change_settings({"watcher_debounce_seconds": 60, "watcher_max_wait_seconds": 600})
    await music.link("Settings").click()
    debounce = music.page.get_by_label("Watcher debounce")
    await expect(debounce).to_have_value("60")
    await debounce.fill("0.2")
    await music.button("Save").click()
    await expect(music.page.locator("#settings-done")).to_have_text("Saved, and in force from now on.")
    assert music.nomarr.config.watcher_debounce_seconds == 0.2
    (Path(library.root_path) / "new.wav").write_bytes(tone(500))
    await music.link("Library").click()
    await expect(music.card("Music")).to_contain_text("4 files")


async def test_what_is_not_saved_yet_stays_when_the_page_asks_again(music: Opened) -> None:
    await expect(music.page.locator("#connection")).to_have_text("live")
    await music.link("Settings").click()
    size = music.page.get_by_label("Scan batch size")
    await expect(size).to_have_value("200")
    await size.fill("321")
    await music.look(away=True)
    music.nomarr.change_settings({"tag_workers": 5})
    await music.look(away=False)
    await expect(music.page.get_by_label("Tag workers")).to_have_value("5")
    await expect(size).to_have_value("321")


async def test_a_value_out_of_range_is_refused_in_words(music: Opened) -> None:
    await music.link("Settings").click()
    size = music.page.get_by_label("Scan batch size")
    await expect(size).to_have_value("200")
    await music.page.locator("#settings-form").evaluate("form => { form.noValidate = true; }")
    await size.fill("3")
    await music.button("Save").click()
    await expect(music.page.locator("#settings-error")).to_contain_text("greater than or equal to 50")
    await expect(music.page.locator("#settings-error")).to_be_focused()
    assert music.nomarr.config.scan_batch_size == 200


async def test_a_setting_may_be_a_word_a_choice_a_box_or_empty(music: Opened) -> None:
    await music.link("Settings").click()
    await music.page.get_by_label("never", exact=True).check()
    await expect(music.page.get_by_label("Purge missing after")).to_be_disabled()
    await music.page.get_by_label("Resume policy").select_option("never")
    await music.page.get_by_label("Content hashes").check()
    await music.page.get_by_label("Watcher max wait").fill("7")
    await music.button("Save").click()
    done = music.page.locator("#settings-done")
    await expect(done).to_have_text("Saved, and in force from now on.")
    config = music.nomarr.config_with_kept(await music.nomarr.kept_settings.read())
    assert (config.purge_missing_after_days, config.resume_policy, config.content_hashes) == ("never", "never", True)
    assert config.watcher_max_wait_seconds == 7
    await music.page.get_by_label("Watcher max wait").fill("")
    await music.button("Save").click()
    await expect(done).to_have_text("Saved, and in force from now on.")
    assert music.nomarr.config.watcher_max_wait_seconds is None
    await music.button("Save").click()
    await expect(done).to_have_text("Nothing was changed.")


async def test_a_setting_is_given_back_to_the_configuration(music: Opened) -> None:
    await music.link("Settings").click()
    size = music.page.get_by_label("Scan batch size")
    give_back = music.button("Back to the configuration's value for Scan batch size")
    await expect(size).to_have_value("200")
    await expect(give_back).to_be_hidden()
    await size.fill("321")
    await music.button("Save").click()
    await expect(give_back).to_be_visible()
    workers = music.page.get_by_label("Tag workers")
    await workers.fill("9")
    await give_back.focus()
    await music.page.keyboard.press("Enter")
    await expect(size).to_have_value("200")
    await expect(music.page.locator("#announcer")).to_have_text("Scan batch size is as it is configured: 200.")
    await expect(give_back).to_be_hidden()
    await expect(size).to_be_focused()
    await expect(workers).to_have_value("9")
    assert (music.nomarr.config.scan_batch_size, (await music.nomarr.kept_settings.read()).usable) == (200, {})


async def test_patterns_are_written_one_a_line(music: Opened) -> None:
    await music.link("Settings").click()
    left_out = music.page.get_by_label("Leave out (patterns as in .gitignore, one a line)")
    taken = music.page.get_by_label("Take for audio (names such as *.flac, one a line)")
    await expect(left_out).to_have_value("")
    await left_out.fill("*.tmp\n\n[z-a]")
    await music.button("Save").click()
    await expect(music.page.locator("#settings-error")).to_contain_text("'[z-a]' can't be understood")
    await left_out.fill("*.tmp\n\n/Drafts/\n")
    await taken.fill("*.wav")
    await music.button("Save").click()
    await expect(music.page.locator("#settings-done")).to_have_text("Saved, and in force from now on.")
    rules = await music.nomarr.libraries.file_rules()
    assert (rules.ignore_patterns, rules.audio_patterns) == (("*.tmp", "/Drafts/"), ("*.wav",))
    await music.button("Save").click()
    await expect(music.page.locator("#settings-done")).to_have_text("Nothing was changed.")


async def test_what_was_chosen_and_can_not_be_read_is_chosen_again(music: Opened) -> None:
    music.nomarr.database.settings.set("service_settings", "{bad")
    await music.link("Settings").click()
    never = music.page.get_by_label("never", exact=True)
    await expect(never).to_be_checked()
    origin = music.page.locator(".origin", has_text="What was chosen can't be read")
    await expect(origin.filter(visible=True)).to_have_count(3)
    await music.button("Choose what is shown for Purge missing after").click()
    await expect(music.page.locator("#announcer")).to_have_text("Purge missing after is chosen: never.")
    await expect(never).to_be_focused()
    await expect(origin.filter(visible=True)).to_have_count(2)
    kept = await music.nomarr.kept_settings.read()
    assert (kept.usable, len(kept.unreadable)) == ({"purge_missing_after_days": "never"}, 2)


async def test_what_only_the_configuration_changes_is_shown(music: Opened) -> None:
    await music.link("Settings").click()
    await music.page.get_by_text("What only the configuration changes").click()
    await expect(music.page.locator("#fixed-settings")).to_contain_text("database_url")


@pytest.mark.parametrize("size", [ViewportSize(width=1400, height=900), PHONE])
async def test_no_field_that_has_the_focus_is_hidden_behind_the_button_that_saves(
    music: Opened, size: ViewportSize
) -> None:
    await music.link("Settings").click()
    await music.page.set_viewport_size(size)
    await expect(music.page.get_by_label("Scan batch size")).to_have_value("200")
    hidden = await music.page.evaluate(
        """async () => {
            const hidden = [];
            const button = document.querySelector(".save");
            const fields = "#settings-form :is(input, select, textarea):not(:disabled)";
            for (const field of document.querySelectorAll(fields)) {
                field.focus();
                await new Promise(requestAnimationFrame);
                if (field.getBoundingClientRect().bottom > button.getBoundingClientRect().top) hidden.push(field.id);
            }
            return hidden;
        }"""
    )
    assert hidden == []


async def test_settings_without_an_answer_are_no_empty_form(music: Opened) -> None:
    problem = {"status": 500, "title": "Internal error", "detail": "the settings fell off", "error": "Internal"}
    await music.page.route("**/api/v1/settings", lambda route: route.fulfill(status=500, json=problem))
    await music.link("Settings").click()
    await expect(music.page.get_by_text("the settings fell off")).to_be_visible()
    await expect(music.button("Save")).to_be_hidden()
    await music.page.unroute("**/api/v1/settings")
    await music.link("Library").click()
    await music.link("Settings").click()
    await expect(music.page.get_by_label("Scan batch size")).to_have_value("200")
