// The labelling page: puts the work, the picture, the keys and the buttons together.

import { ApiError, login, logout, session, toLogin } from "./api.js";
import { announce, byId, el } from "./dom.js";
import { openHelp } from "./help.js";
import { Idle } from "./idle.js";
import { actionOf, capsOf, ignored, isUndoChord } from "./keyboard.js";
import { KeysDialog, learnedCaps, readSettings } from "./keysdialog.js";
import { Lenses } from "./lenses.js";
import { ring } from "./markers.js";
import { chosenProject, homeOf, mayOpen, PAGES } from "./nav.js";
import { Outbox, openStore } from "./outbox.js";
import { askReason, askSure, hidePanel, note, showPanel } from "./panels.js";
import { Pictures } from "./pictures.js";
import { SaveState } from "./savestate.js";
import { Stage } from "./stage.js";
import { Stopwatch } from "./timing.js";
import { NAMES, practice, proposal, question, sided, spoken } from "./wording.js";
import { Work } from "./work.js";

const ANSWERS = new Set(["first", "second", "equal", "skip"]);
const SIDES = new Set(["left", "right", "upper", "lower"]);

class Page {
  constructor({ person, projects, build }, project, outbox) {
    Object.assign(this, { person, projects, build, project, outbox });
    this.keys = person.keys ?? {};
    this.settings = readSettings();
    this.learned = learnedCaps();
    this.watch = new Stopwatch();
    this.shownAt = null;       // set once both markers have been painted: only then an answer counts
    this.aids = new Set();
    this.worked = 0;           // active ms since the last pause
    this.between = new Idle(this);
    this.pictures = new Pictures();
    this.save = new SaveState(outbox);
    this.stage = new Stage(byId("stage"), this.pictures, {
      click: (at, input) => this.#clicked(at, input),
      hover: (at) => this.lenses?.at(at),
      press: (at) => { if (at) this.aids.add("loupe"); this.lenses.at(at, at !== null); },
      touched: () => this.touched(),
    });
    this.lenses = new Lenses(this.stage, this.pictures);
    this.work = new Work({ project, outbox, pictures: this.pictures, told: (event) => this.told(event) });
    this.keysDialog = new KeysDialog((keys, settings) => {
      this.keys = keys;
      this.settings = settings;
      this.learned = learnedCaps();
      this.drawCaps();
    });
  }

  async start() {
    this.drawFrame();
    this.drawCaps();
    this.listen();
    this.save.draw();
    this.firstHelp();
    await this.work.start();
  }

  drawFrame() {
    const choices = this.projects.filter((project) => project.state === "open" || project.id === this.project.id);
    const place = byId("project");
    if (choices.length > 1) {
      place.append(el("select", { class: "input", "aria-label": "Project", onchange: (event) => {
        location.assign(`/?project=${encodeURIComponent(event.target.value)}`); } },
      choices.map(({ id, name }) => el("option", { value: id, selected: id === this.project.id }, name))));
    } else place.textContent = this.project.name;
    document.title = `Label · ${this.project.name}`;
    byId("menu").replaceChildren(
      ...PAGES.filter(({ id }) => id !== "label" && mayOpen(this.person.role, id)).map(({ path, title }) => el("a", { href: path }, title)),
      el("button", { type: "button", onclick: () => { byId("menu").hidePopover(); this.openHelp(); } }, "Help"),
      el("button", { type: "button", onclick: () => this.openKeys() }, "Keys and settings"),
      el("button", { type: "button", onclick: () => this.leave() }, "Sign out"),
      el("p", { class: "quiet small" }, `Signed in as ${this.person.alias}`));
    for (const [id, letter] of [["answer-first", "A"], ["answer-second", "B"]]) byId(id).querySelector("svg").replaceChildren(ring(letter, 18));
    byId("answer-equal").hidden = !this.project.allow_equal;
  }

  drawCaps() {
    for (const button of document.querySelectorAll("button[data-action]")) {
      const caps = capsOf(button.dataset.action, this.keys, this.learned);
      const cap = button.querySelector("kbd");
      cap.textContent = caps[0] ?? "";
      cap.hidden = caps.length === 0;
    }
  }

  listen() {
    document.addEventListener("keydown", (event) => this.keyDown(event));
    document.addEventListener("keyup", (event) => this.keyUp(event));
    for (const button of document.querySelectorAll("button[data-action]")) {
      button.addEventListener("click", (event) => this.act(button.dataset.action, { input: event.detail === 0 ? "button" : event.pointerType || "mouse" }));
    }
    byId("help").addEventListener("click", () => this.openHelp());
    byId("keys").addEventListener("click", () => this.openKeys());
    window.addEventListener("blur", () => { this.watch.leave("blur"); this.stage.markers.hide(false); });
    window.addEventListener("focus", () => this.watch.back("blur"));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.watch.leave("hidden");
      else {
        this.watch.back("hidden");
        if (document.body.dataset.waiting === "signed-out") this.between.lookAgain();   // perhaps signed in elsewhere
      }
    });
    // Reading help or settings is not looking at the pair; choosing a reason is.
    for (const dialog of [byId("help-dialog"), byId("keys-dialog"), byId("save-dialog")]) {
      new MutationObserver(() => (dialog.open ? this.watch.leave("dialog") : this.watch.back("dialog")))
        .observe(dialog, { attributes: true, attributeFilter: ["open"] });
    }
    document.addEventListener("pointerdown", (event) => document.body.classList.toggle("touching", event.pointerType === "touch"), true);
    window.addEventListener("beforeunload", (event) => { if (this.outbox.pending.length) event.preventDefault(); });
    window.addEventListener("hashchange", () => { if (location.hash.startsWith("#t=")) location.reload(); });   // a sign-in link opened here
    window.addEventListener("pagehide", () => this.work.giveBack());
    window.addEventListener("pageshow", (event) => { if (event.persisted) this.work.restart(); });
  }

  touched() {
    this.watch.touch();
    this.work.touched = performance.now();
  }

  // ---- what the work says

  told(event) {
    switch (event.type) {
      case "task": return this.ask(event.task, event.relation);
      case "count": return this.drawPosition();
      case "checking": this.asked(false); return undefined;
      case "feedback": return this.between.feedback(event);
      case "qualified": return this.between.qualified(event.passed);
      case "waiting": return this.between.waiting(event.waiting);
      case "problem": return this.between.problem(event.error);
      case "elsewhere": note("You answered this pair in another tab.", { id: "note-elsewhere" }); setTimeout(() => byId("note-elsewhere")?.remove(), 4000); return undefined;
      default: return undefined;
    }
  }

  drawPosition() {
    const { position, total, current } = this.work;
    const practising = current?.task.qualification;
    byId("position").textContent = practising ? "Practice" : total === null ? `Pair ${position}` : `Pair ${Math.min(position, Math.max(1, total))} of ${total}`;
    byId("progress").max = Math.max(1, total ?? 1);
    byId("progress").value = this.work.done;
    const nothing = practising || (!this.work.history.length && !this.work.done);
    byId("undo").setAttribute("aria-disabled", String(Boolean(nothing)));
  }

  asked(ready) {
    if (!ready) this.shownAt = null;
    for (const id of ["answer-first", "answer-second", "answer-equal", "answer-skip", "zoom", "loupe"]) byId(id).setAttribute("aria-disabled", String(!ready));
    document.body.dataset.ready = ready;
  }

  async ask(task, relation) {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    this.asked(false);
    this.idle = false;
    this.answering = false;
    delete document.body.dataset.waiting;
    clearTimeout(this.retry);
    const image = { sha256: task.image, width: task.width, height: task.height };
    if (!this.pictures.work(task.image)) {
      if (this.stage.image?.sha256 !== task.image) this.stage.clear();
      try {
        await this.pictures.wantWork(task.image);
      } catch (error) {
        if (turn === this.turn) this.between.noPicture(error, task, relation);
        return;
      }
      if (turn !== this.turn) return;
    }
    hidePanel();
    this.aids = new Set(this.lenses.on ? ["loupe"] : []);
    this.drawQuestion(task, relation);
    this.stage.show(image, { first: task.first, second: task.second }, { intro: this.settings.intro, keep: true });
    this.lenses.draw();
    this.drawPosition();
    requestAnimationFrame(() => {
      const channel = new MessageChannel();   // runs after the frame was handed over for painting
      channel.port1.onmessage = () => { channel.port1.close(); if (turn === this.turn) this.painted(task, relation); };
      channel.port2.postMessage(null);
    });
  }

  drawQuestion(task, relation) {
    const { title, step, more } = question(task, relation);
    byId("question").textContent = step ? `${step}. ${title}` : title;
    const hint = [more, proposal(task), task.qualification ? practice(this.project.qualification) : ""].filter(Boolean).join(" ");
    byId("question-more").textContent = hint;
    byId("question-more").hidden = !hint;
    for (const [id, name] of [["answer-first", "first"], ["answer-second", "second"], ["answer-equal", "equal"]]) {
      byId(id).classList.toggle("proposed", task.mode === "open" && task.proposed === name);
      byId(id).classList.remove("given");
    }
  }

  painted(task, relation) {
    this.watch.reset();
    this.shownAt = Date.now();
    if (this.answeredAt !== undefined) {
      const took = performance.now() - this.answeredAt;
      performance.measure("next-pair", { start: this.answeredAt, end: performance.now() });
      if (performance.getEntriesByName("next-pair").length > 1000) performance.clearMeasures("next-pair");
      document.body.dataset.nextPairMs = took.toFixed(1);
      this.answeredAt = undefined;
    }
    document.body.dataset.assignment = task.assignment;
    document.body.dataset.pair = task.pair;
    document.body.dataset.relation = relation;
    document.body.dataset.shown = Number(document.body.dataset.shown ?? 0) + 1;
    this.asked(true);
    announce(byId("live"), spoken({ task, relation, position: this.work.position, total: this.work.total }));
  }

  // ---- what the person does

  keyDown(event) {
    this.touched();
    if (document.querySelector("dialog[open]")) return;
    if (event.target instanceof Element && event.target.closest("input, select, textarea, [contenteditable]")) return;
    if (isUndoChord(event)) { event.preventDefault(); this.act("undo", { input: "keyboard", key: "Control+z" }); return; }
    const action = actionOf(event, this.keys);
    if (!action) return;
    if (event.repeat && !event.ctrlKey && !event.altKey && !event.metaKey) { event.preventDefault(); return; }
    if (ignored(event)) return;
    if (event.target instanceof Element && event.target.closest("[popover]") && action !== "help") return;
    event.preventDefault();
    if (action === "hide") { this.hideKey = event.code; this.aids.add("hide"); this.stage.markers.hide(true); return; }
    this.act(action, { input: "keyboard", key: event.code || event.key });
  }

  keyUp(event) {
    if (this.hideKey && event.code === this.hideKey) {
      this.hideKey = null;
      this.stage.markers.hide(false);
    }
  }

  #clicked(at, input) {
    const which = this.stage.markers.hit(at);
    if (which) this.act(which, { input, key: "marker" });
  }

  act(action, how) {
    this.touched();
    if (ANSWERS.has(action)) return this.answer(action, how);
    if (SIDES.has(action)) {
      const task = this.work.current?.task;
      const which = task && sided(task, action);
      if (which) return this.answer(which, how);
      if (task) this.say(action === "left" || action === "right" ? "One point is straight above the other: use up and down." : "Both points are on one height: use left and right.");
      return undefined;
    }
    switch (action) {
      case "undo": return this.undo();
      case "zoom": if (this.shownAt === null) return undefined; this.aids.add("zoom"); return this.stage.toggle();
      case "native": this.aids.add("native"); return this.stage.toNative();
      case "loupe": this.aids.add("loupe"); return this.lenses.toggle();
      case "loupe_more": this.aids.add("loupe"); return this.lenses.change(1);
      case "loupe_less": this.aids.add("loupe"); return this.lenses.change(-1);
      case "help": return this.openHelp();
      case "keys": return this.openKeys();
      default: return undefined;
    }
  }

  async answer(shown, { input, key = "" }) {
    if (this.shownAt === null || this.answering) return;
    if (shown === "equal" && !this.project.allow_equal) return;
    const { task } = this.work.current;
    const turn = this.turn;
    let answeredAt = performance.now();
    this.answering = true;
    const shownAt = this.shownAt;
    const details = { reason: "", confidence: "" };
    const asks = shown === "skip" ? this.project.skip_reasons.length > 0 : this.project.confidence && shown !== "equal";
    if (asks) {
      // Choosing the reason is part of the answer: the watch goes on.
      const choice = shown === "skip" ? await askReason(this.project.skip_reasons) : await askSure();
      if (turn !== this.turn) return;
      if (choice === null) { this.answering = false; return; }
      details[shown === "skip" ? "reason" : "confidence"] = choice;
      answeredAt = performance.now();
    }
    const { wall_ms, active_ms, blurs } = this.watch.read();
    this.worked += active_ms;
    this.answeredAt = answeredAt;
    performance.mark("answer");
    byId(`answer-${shown}`).classList.add("given");
    this.asked(false);
    this.lenses.at(null);
    document.body.dataset.last = NAMES[shown];
    await this.work.answer(shown, {
      ...details, shown_at: shownAt, answered_at: Date.now(), active_ms, wall_ms,
      client: {
        viewport: [window.innerWidth, window.innerHeight, window.devicePixelRatio || 1], zoom: this.stage.view.scale, key, input, blurs,
        aids: [...this.aids], build: this.build, instructions_version: this.project.instructions_version,
      },
    });
    this.between.suggestPause(task);
  }

  async undo() {
    if (this.undoing || byId("panel").querySelector("[role=alertdialog]")) return;
    this.undoing = true;
    try {
      const practising = this.work.current?.task.qualification;
      if (practising) this.say("Practice answers cannot be taken back.");
      else this.say((await this.work.undo()) ? "Undone. Answer again." : "There is nothing to undo.");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.say(error.kind === "offline" ? "Earlier answers can be undone when the server is back." : `${error.message} ${error.hint}`.trim());
    } finally {
      this.undoing = false;
    }
  }

  say(words) {
    note(words, { id: "note-say" });
    announce(byId("live"), words);
    clearTimeout(this.hush);
    this.hush = setTimeout(() => byId("note-say")?.remove(), 3500);
  }

  // ---- dialogs

  firstHelp() {
    const key = `dabench.read.${this.person.alias}.${this.project.id}`;
    let read = null;
    try { read = localStorage.getItem(key); } catch { return; }
    if (read === String(this.project.instructions_version)) return;
    try { localStorage.setItem(key, String(this.project.instructions_version)); } catch { /* shown again next time */ }
    this.openHelp(true);
  }

  openHelp(first = false) {
    openHelp({ project: this.project, keys: this.keys, learned: this.learned, first, openKeys: () => this.openKeys() });
  }

  openKeys() {
    byId("menu").hidePopover();
    this.keysDialog.open(this.keys);
  }

  async leave() {
    try {
      this.work.giveBack();
      await logout();
      location.assign("/login");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.kind === "signed-out") toLogin(); else this.say(error.message);
    }
  }
}

async function open() {
  const token = /^#t=(.+)$/.exec(location.hash)?.[1];
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  if (token) await login(token);
  const found = await session();
  if (!mayOpen(found.person.role, "label")) { location.replace(homeOf(found.person.role)); return; }
  const project = chosenProject(found.projects);
  if (!project) {
    showPanel("There is no project yet", found.person.role === "owner" ? "Make one first." : "Ask the owner of the study.",
      found.person.role === "owner" ? [{ text: "Projects", href: "/projects", primary: true }] : []);
    return;
  }
  let page = null;
  const outbox = new Outbox(await openStore(), found.person.alias, (event) => {
    if (!page) return;
    if (event.type === "state") page.save.draw();
    else if (event.type === "sent") page.work.delivered(event);
    else if (event.type === "refused") page.work.refused(event);
  });
  await outbox.load();
  page = new Page(found, project, outbox);
  await page.start();
}

open().catch((error) => {
  if (!(error instanceof ApiError)) throw error;
  if (error.kind === "signed-out") { toLogin(); return; }
  showPanel("The page could not be opened", [error.message, error.hint], [{ text: "Try again", primary: true, run: () => location.reload() }]);
});
