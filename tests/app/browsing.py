"""The browser that tests of the page use, and what all of them do with it."""

from __future__ import annotations

import shutil

from tests.conftest import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OUT = ROOT / "out" / "screenshots"
# The player may still get a new file (the first sentence's, then the whole text's), which begins paused.
PLAYED = """async (id) => { let a = null;
   for (let i = 0; i < 200 && !(a && a.currentTime > 0.2); i++) {
     a = document.querySelector('#' + id + ' audio');
     if (a && a.duration > 0 && a.paused) { a.muted = true; await a.play().catch(() => 0); }
     await new Promise(r => setTimeout(r, 100));
   }
   return [a.duration, a.currentTime]; }"""
# Of every text that is seen: its contrast to what is painted behind it, colours that let others through mixed with them.
UNREADABLE = """(least) => {
  const parse = (c) => { const v = c.match(/[0-9.]+/g).map(Number); return [v[0], v[1], v[2], v.length > 3 ? v[3] : 1]; };
  const over = (a, b) => a.slice(0, 3).map((x, i) => x * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = (c) => { const v = c.slice(0, 3).map(x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const behind = (e) => { const layers = [];
    for (; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reduceRight((under, layer) => over(layer, under), [255, 255, 255, 1]); };
  const seen = (e) => { const r = e.getBoundingClientRect(); return r.width > 1 && r.height > 1 && e.checkVisibility({
    checkOpacity: true, checkVisibilityCSS: true}); };
  const found = new Map();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(e.tagName) || !seen(e)) continue;
    const style = getComputedStyle(e), back = behind(e);
    const colour = parse(e.closest('svg') && !e.closest('button') ? style.fill : style.color);
    for (let up = e; up; up = up.parentElement) colour[3] *= Number(getComputedStyle(up).opacity);
    const front = over(colour, back);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < least) found.set(walk.currentNode.data.trim().slice(0, 40), contrast.toFixed(2) + ' ' + style.color + ' on '
      + back.slice(0, 3).map(Math.round) + ' ' + e.tagName + '.' + e.className);
  }
  return [...found].map(([text, what]) => text + ': ' + what); }"""


def opened(browser, address, width=1280, height=1400, dark=False):
    context = browser.new_context(viewport={"width": width, "height": height}, permissions=["microphone"],
                                  color_scheme="dark" if dark else "light")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(address)
    ready(page)
    return page


def ready(page):
    """Until the page has found its draft and its clone again."""
    page.locator("#hello, #bar").locator("visible=true").first.wait_for()
    page.wait_for_function("() => !!document.querySelector('#enough p, #status div')")


def step(page, name):
    """Go to a step of the walk that was reached before, or by its number's button."""
    page.get_by_role("tab", name=name).or_(page.get_by_role("button", name=name, exact=True)).first.click()
