// What comes between two pairs: the reason of a skip, how sure one is, feedback of the practice round, and why nothing is asked.

import { byId, el } from "./dom.js";

// Asks for one of some choices in a dialog; each has a number key. Resolves to the choice, or null when cancelled.
export function choose(dialog, titleId, title, words, choices) {
  return new Promise((resolve) => {
    let chosen = null;
    const pick = (choice) => { chosen = choice; dialog.close(); };
    const keyed = (event) => {
      if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
      const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1] ?? (/^[1-9]$/.test(event.key) ? event.key : null);
      const choice = digit && choices[Number(digit) - 1];
      if (!choice) return;
      event.preventDefault();
      event.stopPropagation();
      pick(choice);
    };
    dialog.replaceChildren(
      el("div", { class: "dialog-body stack" }, el("h2", { id: titleId }, title), words ? el("p", { class: "quiet" }, words) : null,
        el("div", { class: "choices" }, choices.map((choice, k) =>
          el("button", { class: "button", type: "button", onclick: () => pick(choice) }, k < 9 ? el("kbd", {}, k + 1) : null, choice)))),
      el("div", { class: "dialog-foot" }, el("button", { class: "button button-quiet", type: "button", onclick: () => dialog.close() }, "Cancel ", el("kbd", {}, "Esc"))));
    dialog.addEventListener("keydown", keyed);
    dialog.addEventListener("close", () => { dialog.removeEventListener("keydown", keyed); resolve(chosen); }, { once: true });
    dialog.showModal();
    dialog.querySelector("button").focus();
  });
}

export const askReason = (reasons) =>
  choose(byId("skip-dialog"), "skip-title", "Why skip this pair?", "One key is enough. The pair is kept, with your reason.", reasons);

export const askSure = () =>
  choose(byId("sure-dialog"), "sure-title", "How sure are you?", "", ["guessing", "probably", "definitely"]);

// A card over the stage. over: the picture stays in view below it.
export function showPanel(title, words, actions = [], { over = false, tone = "" } = {}) {
  const panel = byId("panel");
  const fresh = panel.hidden || panel.contains(document.activeElement);
  panel.classList.toggle("over", over);
  panel.replaceChildren(el("div", { class: "card stack", role: over ? "alertdialog" : null, "aria-labelledby": "panel-title" },
    el("h2", { id: "panel-title", class: tone, tabindex: "-1" }, title),
    [words].flat().filter(Boolean).map((line) => el("p", {}, line)),
    actions.length ? el("div", { class: "row" }, actions.map(({ text, run, primary, href, keycap }) => {
      const inside = [text, keycap ? el("kbd", {}, keycap) : null];
      const look = `button ${primary ? "button-primary" : ""}`;
      return href ? el("a", { class: look, href }, inside) : el("button", { class: look, type: "button", onclick: run }, inside);
    })) : null));
  panel.hidden = false;
  if (fresh) (panel.querySelector("button, a") ?? byId("panel-title")).focus({ preventScroll: true });
}

export function hidePanel() {
  const panel = byId("panel");
  const focused = panel.contains(document.activeElement);
  panel.hidden = true;
  panel.replaceChildren();
  if (focused) byId("answers").focus({ preventScroll: true });
}

// Feedback after a practice pair; resolves when the person goes on.
export function showFeedback(feedback, shown, progress) {
  return new Promise((resolve) => {
    const go = () => { hidePanel(); resolve(); };
    const answer = { first: "A is closer", second: "B is closer", equal: "Equal", skip: "Skipped" }[shown];
    showPanel(feedback.right ? "Right" : "Not right", [
      feedback.right ? `You said: ${answer}.` : `You said: ${answer}. Look once more before you go on.`, feedback.note, progress],
    [{ text: "Go on", primary: true, run: go, keycap: "Enter" }], { over: true, tone: feedback.right ? "good" : "warn" });
  });
}

const WAITING = {
  finished: ["All done", "There is nothing left to label in this project. Thank you."],
  paused: ["This project is paused", "Its owner has stopped it for now. Your answers are saved."],
  "qualification failed": ["The practice round was not passed", "Ask the owner of the study what to do next; nothing of yours is lost."],
  "daily limit": ["Enough for today", "You have reached today's number of answers. Come back tomorrow."],
  "not a member": ["This project is for other people", "Choose another project, or ask its owner to add you."],
  later: ["Nothing to do right now", "Other people have what is left. If one of them stops, it comes to you."],
};

export function showWaiting(waiting, actions) {
  const [title, words] = WAITING[waiting] ?? ["Nothing to do right now", waiting];
  showPanel(title, words, actions);
  return title;
}

// A small notice above the picture. Returns a function that removes it.
export function note(words, { actions = [], tone = "", id = "" } = {}) {
  if (id) document.getElementById(id)?.remove();
  const box = el("div", { class: `notice ${tone}`, id: id || null });
  const remove = () => box.remove();
  box.append(el("p", {}, words), ...actions.map(({ text, run }) =>
    el("button", { class: "button", type: "button", onclick: () => { remove(); run?.(); } }, text)));
  byId("notes").append(box);
  return remove;
}
