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

# Texts that are seen and stand beyond the sides of the page, and labels that lie over what they label.
MISPLACED = """() => {
  const width = document.documentElement.clientWidth, found = [];
  const seen = (e) => e.checkVisibility({checkOpacity: true, checkVisibilityCSS: true}) &&
    !e.closest('.visually-hidden, .sr-only, script, style, textarea');
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (!node.data.trim() || !seen(node.parentElement)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width > 1 && (box.left < -1 || box.right > width + 1)) found.push(node.data.trim().slice(0, 40) + ': ' +
      Math.round(box.left) + ' to ' + Math.round(box.right) + ' of ' + width);
    if (box.width < 40 && box.height > 80) found.push(node.data.trim().slice(0, 40) + ': a letter a line');
  }
  for (const label of document.querySelectorAll('[data-testid=block-label]')) {
    const icon = label.parentElement.querySelector('.icon-wrap');
    if (!icon || !seen(label) || !seen(icon)) continue;
    const a = label.getBoundingClientRect(), b = icon.getBoundingClientRect();
    if (a.right > b.left && b.right > a.left && a.bottom > b.top && b.bottom > a.top)
      found.push(label.innerText.trim().slice(0, 40) + ': lies over its picture');
  }
  return found; }"""
# Marks that have to be told from what they lie on (WCAG 1.4.11): ticks of the steps, boxes to tick.
FAINT = """() => {
  const parse = (c) => c.match(/[0-9.]+/g).map(Number);
  const light = (c) => { const v = c.slice(0, 3).map(x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const contrast = (x, y) => { const [a, b] = [light(parse(x)), light(parse(y))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05); };
  const found = [];
  for (const tick of document.querySelectorAll('.completed .step-number path')) {
    const value = contrast(getComputedStyle(tick).stroke, getComputedStyle(tick.closest('.step-number')).backgroundColor);
    if (value < 3) found.push('tick of a step: ' + value.toFixed(2));
  }
  for (const box of document.querySelectorAll('input[type=checkbox]:not(:checked), input[type=radio]:not(:checked)')) {
    if (!box.checkVisibility()) continue;
    const style = getComputedStyle(box), value = contrast(style.borderColor, style.backgroundColor);
    if (value < 3) found.push(box.closest('label').innerText.trim() + ': ' + value.toFixed(2));
  }
  return found; }"""


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


def walk_to(page, number, there):
    """Go to a step by its number, until something of it is seen: a page that has just loaded goes to its clone by itself."""
    for _ in range(60):
        button = page.locator(".step-button").nth(number - 1)
        if button.is_enabled():
            button.click()
        if page.locator(there).is_visible():
            page.wait_for_timeout(300)
            if page.locator(there).is_visible():
                return
        page.wait_for_timeout(500)
    raise AssertionError(f"step {number} of the page never showed {there}")


def settled(page):
    """Until no control says that its work goes on, and colours have faded in."""
    page.wait_for_function("() => ![...document.querySelectorAll('.progress-text')].some(e => e.checkVisibility())")
    page.wait_for_timeout(400)


def step(page, name):
    """Go to a step of the walk that was reached before, or by its number's button."""
    page.get_by_role("tab", name=name).or_(page.get_by_role("button", name=name, exact=True)).first.click()
