// The sign that says where the answers are: saved, on their way, or kept here.

import { toLogin } from "./api.js";
import { announce, byId, el } from "./dom.js";

const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

// {state, text, title, words}: what to show for an outbox.
export function describe(outbox) {
  const waiting = outbox.pending.length;
  const refused = outbox.refused.length;
  const they = waiting === 1 ? "It is" : "They are";
  const kept = outbox.unkept ? ` ${they} kept in this tab only: leave it open.` : ` ${they} kept in this browser.`;
  if (refused) {
    return { state: "refused", text: `${refused} refused`, title: "Some answers were refused",
      words: "The server did not take these answers. Nothing else is held up by them." };
  }
  if (outbox.trouble === "signed-out") {
    return { state: "signed-out", text: waiting ? `Signed out · ${waiting} kept` : "Signed out", title: "Your session has ended",
      words: `Sign in again to go on.${waiting ? ` ${plural(waiting, "answer")} will be sent then.${kept}` : ""}` };
  }
  if (waiting && outbox.trouble) {
    const offline = outbox.trouble === "offline";
    return { state: offline ? "offline" : "busy", text: `${offline ? "Offline" : "Server busy"} · ${waiting} waiting`,
      title: offline ? "The server cannot be reached" : "The server cannot save now",
      words: `${plural(waiting, "answer")} will be sent as soon as it works again.${kept}` };
  }
  if (waiting) {
    return { state: "sending", text: `Saving ${waiting}`, title: "Saving", words: `${plural(waiting, "answer")} on the way.${kept}` };
  }
  const warning = outbox.unkept ? " This browser keeps nothing: if the connection breaks, leave this tab open." : "";
  return { state: "saved", text: "Saved", title: "Everything is saved", words: `The server has all your answers.${warning}` };
}

export class SaveState {
  constructor(outbox) {
    this.outbox = outbox;
    byId("save").addEventListener("click", () => this.open());
  }

  draw() {
    const { state, text, words } = describe(this.outbox);
    const sign = byId("save");
    const changed = sign.dataset.state !== state;
    sign.dataset.state = state;
    sign.dataset.pending = this.outbox.pending.length;
    sign.dataset.unkept = this.outbox.unkept;
    sign.title = words;
    byId("save-text").textContent = text;
    const calm = (name) => name === "saved" || name === "sending";
    if (changed && !(calm(state) && calm(this.last ?? "saved"))) announce(byId("live-save"), state === "saved" ? "All answers are saved." : `${text}. ${words}`);
    if (state !== "sending") this.last = state;
    if (byId("save-dialog").open) this.fill();
  }

  fill() {
    const { state, title, words } = describe(this.outbox);
    const dialog = byId("save-dialog");
    const refused = this.outbox.refused;
    const download = () => {
      const blob = new Blob([JSON.stringify(refused.map(({ body, refused: why }) => ({ ...body, why })), null, 2)], { type: "application/json" });
      const link = el("a", { href: URL.createObjectURL(blob), download: "refused-answers.json" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    };
    dialog.replaceChildren(
      el("div", { class: "dialog-body stack" },
        el("h2", { id: "save-title" }, title), el("p", {}, words),
        refused.length ? el("ul", {}, refused.map((item) => el("li", {}, `${item.body.shown ?? "undo"}: ${item.refused}`))) : null,
        this.outbox.others ? el("p", { class: "quiet" }, `${plural(this.outbox.others, "answer")} of another person wait in this browser; they are sent when that person signs in here.`) : null),
      el("div", { class: "dialog-foot" },
        refused.length ? el("button", { class: "button", type: "button", onclick: download }, "Download them") : null,
        refused.length ? el("button", { class: "button button-bad", type: "button", onclick: async () => { for (const item of refused) await this.outbox.forget(item); dialog.close(); } }, "Discard them") : null,
        refused.length ? el("button", { class: "button", type: "button", onclick: () => this.outbox.again() }, "Try again") : null,
        state === "offline" || state === "busy" ? el("button", { class: "button", type: "button", onclick: () => this.outbox.wake() }, "Try now") : null,
        state === "signed-out" ? el("button", { class: "button button-primary", type: "button", onclick: toLogin }, "Sign in") : null,
        el("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Close")));
  }

  open() {
    this.fill();
    if (!byId("save-dialog").open) byId("save-dialog").showModal();
  }
}
