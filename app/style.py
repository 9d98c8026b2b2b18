"""How the page looks: colours that can be read in the light and in the dark, and what fits a telephone."""

from __future__ import annotations

import gradio as gr

# gradio puts its container before every selector, and takes a comma between brackets for the end of one.
CSS = """
:root {--bad: #b91c1c; --bad-back: #fef2f2; --bad-text: #450a0a; --good: #15803d; --good-back: #f0fdf4; --good-text: #052e16;
  --warn: #92400e; --warn-back: #fffbeb; --line: #c2410c; --edge: #d4d4d8}
.dark {--bad: #f87171; --bad-back: #450a0a; --bad-text: #fee2e2; --good: #4ade80; --good-back: #052e16; --good-text: #dcfce7;
  --warn: #fcd34d; --warn-back: #451a03; --line: #fb923c; --edge: #52525b}
:root:root {--color-accent: #c2410c} .dark.dark {--color-accent: #fb923c}
.step-button:disabled {opacity: 1 !important} .step-button {color: var(--body-text-color) !important}
.step-number {background-color: #e4e4e7 !important; color: #18181b !important; border: none !important}
.dark .step-number {background-color: #3f3f46 !important; color: #f4f4f5 !important}
.active .step-number, .completed .step-number {background-color: var(--color-accent) !important; color: #fff !important}
.dark .active .step-number, .dark .completed .step-number, .dark .step-number svg {color: #18181b !important}
.compact .step-number {height: 26px !important}
[id^=trouble]:not(:has(.problem)):not(:has(.fine)), #failure:not(:has(.problem)),
#library-status:not(:has(.problem)):not(:has(.fine)), #batch-status:not(:has(.problem)):not(:has(.fine)),
#planned:not(:has(p)), #likeness-frame:not(:has(p)):not(:has(.chart)), #reading:not(:has(p)):not(:has(.problem)),
#doctor:not(:has(.rows)):not(:has(.fine)), #said:not(:has(p)), #meter:not(:has(p)),
#verdict:not(:has(p)) {display: none !important}
.problem, .fine {border-left: 5px solid; padding: .6rem .9rem; margin: .3rem 0; border-radius: 4px}
.problem, .fine, #status, #planned, #reading {overflow-wrap: anywhere}
.problem {border-color: var(--bad); background: var(--bad-back)}
.problem, .problem * {color: var(--bad-text) !important}
.fine {border-color: var(--good); background: var(--good-back)}
.fine, .fine * {color: var(--good-text) !important}
.problem button {margin: 0 0 0 .8rem !important; padding: 0 !important; background: none !important; cursor: pointer;
  font-size: .92rem !important; font-weight: 400 !important; text-decoration: underline}
.prompt {font-size: 1.6rem; line-height: 1.4; padding: .8rem 0}
.rows {list-style: none; margin: 0; padding: 0}
.rows > li {display: flex; flex-wrap: wrap; gap: .3rem .7rem; align-items: center; padding: .45rem .2rem;
  border-bottom: 1px solid var(--edge)}
.rows .named {font-weight: 600; overflow-wrap: anywhere}
.rows .why {flex: 1 1 100%; font-size: .92rem; overflow-wrap: anywhere}
.rows .said {flex: 1 1 60%; overflow-wrap: anywhere}
.rows .end {margin-left: auto; display: flex; flex-wrap: wrap; gap: .3rem}
.rows textarea {flex: 1 1 100%; padding: .4rem .5rem; border: 1px solid var(--edge); border-radius: 4px; font: inherit;
  background: var(--input-background-fill); color: var(--body-text-color); resize: vertical; field-sizing: content}
.rows textarea:focus {outline: 2px solid var(--line); outline-offset: 1px}
.rows button {border: 1px solid var(--edge); border-radius: 4px; padding: .15rem .6rem; cursor: pointer; min-height: 2rem;
  background: transparent; color: var(--body-text-color); font-size: .92rem !important; font-weight: 400; margin: 0 !important}
.rows button:hover {background: var(--background-fill-secondary)}
.rows button.quiet {border-color: transparent; color: var(--body-text-color-subdued)}
.badge {border-radius: 99px; padding: .05rem .6rem; font-size: .85rem; font-weight: 600; white-space: nowrap; border: 1px solid}
.badge.green {color: var(--good); background: var(--good-back)}
.badge.amber {color: var(--warn); background: var(--warn-back)}
.badge.red {color: var(--bad); background: var(--bad-back)}
.badge.none {color: var(--body-text-color-subdued); border-style: dashed}
.chart {max-width: 44rem} .chart svg {width: 100%; height: auto; overflow: visible}
.chart text {fill: var(--body-text-color); font-size: 13px} .chart h4 {margin: .2rem 0; font-size: 1rem; font-weight: 600}
.chart .grid {stroke: var(--edge)} .chart .curve {stroke: var(--line); fill: none; stroke-width: 2.5}
.chart .dot {fill: var(--line)} .chart .end {stroke: var(--body-text-color-subdued); stroke-dasharray: 5 4}
table.facts {border-collapse: collapse; margin: .4rem 0; border: none !important}
table.facts th, table.facts td, table.facts tr {text-align: left;
  padding: .15rem 1rem .15rem 0 !important; font-weight: 400; vertical-align: top; border: none !important}
table.facts td {font-weight: 600} table.facts th {word-break: keep-all; overflow-wrap: normal}
#preview {border: none !important}
#bar {position: sticky; top: 0; z-index: 20; background: var(--background-fill-primary); padding: .5rem 0; align-items: center;
  border-bottom: 1px solid var(--edge)}
progress {width: 100%; height: .6rem; background: var(--edge); border-radius: 4px; overflow: hidden}
progress::-webkit-progress-bar {background: var(--edge)} progress::-webkit-progress-value {background: var(--line)}
progress::-moz-progress-bar {background: var(--line)}
button:focus-visible, input:focus-visible, [role=tab]:focus-visible {outline: 3px solid #1d4ed8 !important; outline-offset: 2px;
  transition: none !important}
.dark button:focus-visible, .dark input:focus-visible, .dark [role=tab]:focus-visible {outline-color: #93c5fd !important}
@media (max-width: 600px) {
  .prompt {font-size: 1.25rem} .gradio-container {padding: 4px !important} .chart text {font-size: 20px}
  #voices .end {margin-left: 0; flex-basis: 100%}
  #lead {flex-direction: column !important} #lead > * {width: 100% !important; min-width: 100% !important}
}
"""

# Gradio's own grey of hints has a contrast of 2.6 to 1 on white; readable is 4.5 (WCAG 1.4.3). The system's own fonts have
# every letter in every weight.
THEME = gr.themes.Default(
    primary_hue=gr.themes.colors.orange, font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"],
).set(
    body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300",
    block_label_text_color="*neutral_700", block_label_text_color_dark="*neutral_200",
    button_primary_background_fill="#c2410c", button_primary_background_fill_dark="#c2410c",
    button_primary_background_fill_hover="#9a3412", button_primary_background_fill_hover_dark="#9a3412",
    button_primary_text_color="white", button_primary_text_color_dark="white",
    button_cancel_background_fill="#b91c1c", button_cancel_background_fill_dark="#b91c1c",
    button_cancel_background_fill_hover="#991b1b", button_cancel_background_fill_hover_dark="#991b1b",
    button_cancel_text_color="white", button_cancel_text_color_dark="white",
    checkbox_border_color="*neutral_500", checkbox_border_color_dark="*neutral_400",
    checkbox_border_color_hover="*neutral_700", checkbox_border_color_hover_dark="*neutral_200",
    link_text_color="#9a3412", link_text_color_dark="#fdba74",
    input_placeholder_color="*neutral_600", input_placeholder_color_dark="*neutral_400",
)

HEAD = """<style>.gradio-container {overflow: visible !important}</style>
<script>
// A speech grows while it is heard: the player gets a longer file and goes on where it was.
(() => {
  let at = 0, playing = false;
  setInterval(() => {
    const player = document.querySelector('#sound audio');
    if (player && player.currentTime > 0) { at = player.currentTime; playing = !player.paused && !player.ended; }
  }, 100);
  document.addEventListener('loadedmetadata', (e) => {
    if (!e.target.closest || !e.target.closest('#sound') || !window.growing) return;
    if (at > 0 && at < e.target.duration) { e.target.currentTime = at; if (playing) e.target.play().catch(() => 0); }
  }, true);
  window.speechBegins = () => { at = 0; playing = false; window.growing = true; };
})();
</script>"""
