"""What is wrong, with its remedy; and settings that are in force at once."""

from __future__ import annotations

import shutil
from pathlib import Path

from page_kit import BROWSER, Opened, expect
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
    config = music.nomarr.config
    assert (config.purge_missing_after_days, config.resume_policy, config.content_hashes) == ("never", "never", True)
    assert config.watcher_max_wait_seconds == 7
    await music.page.get_by_label("Watcher max wait").fill("")
    await music.button("Save").click()
    await expect(done).to_have_text("Saved, and in force from now on.")
    assert music.nomarr.config.watcher_max_wait_seconds is None
    await music.button("Save").click()
    await expect(done).to_have_text("Nothing was changed.")


async def test_what_only_the_configuration_changes_is_shown(music: Opened) -> None:
    await music.link("Settings").click()
    await music.page.get_by_text("What only the configuration changes").click()
    await expect(music.page.locator("#fixed-settings")).to_contain_text("database_url")
