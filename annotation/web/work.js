// The state of the work: which tasks are here, which one is asked, what was answered. Knows nothing of the page.

import { ApiError, get, post, uuid } from "./api.js";

const AHEAD = 4;          // tasks kept ready behind the current one
const STEPS = 200;        // answers that undo can reach without asking the server
const BEAT_MS = 60000;

export class Work {
  // told(event): {type: 'task' | 'waiting' | 'problem' | 'feedback' | 'count', ...}
  constructor({ project, outbox, pictures, told }) {
    this.project = project;
    this.outbox = outbox;
    this.pictures = pictures;
    this.told = told;
    this.tasks = [];        // still to come
    this.current = null;    // {task, relation}
    this.history = [];      // {uuid, task, relation, shown}, oldest first
    this.sent = new Map();  // assignment -> when its answer had arrived at the server
    this.done = 0;
    this.left = null;
    this.waiting = "";
    this.receipts = new Map();   // uuid -> resolve
    this.touched = performance.now();
    this.epoch = 0;         // counts undos
    this.stale = false;     // the last list from the server was of before something
    setInterval(() => this.#beat(), BEAT_MS);
  }

  // Answers that a reload or crash left in the outbox are given again to undo, then the first task comes.
  async start() {
    for (const item of this.outbox.pending) {
      if (item.path === "/api/undo") this.history = this.history.filter((entry) => entry.uuid !== item.body.response);
      else if (item.task && !item.task.qualification) this.history.push({ uuid: item.uuid, task: item.task, relation: item.body.relation, shown: item.body.shown });
    }
    await Promise.race([this.outbox.wake(), new Promise((resolve) => setTimeout(resolve, 3000))]);
    await this.advance();
  }

  get position() { return this.done + 1; }

  get total() { return this.left === null ? null : this.done + this.left; }

  // The next question: the other relation of a layered pair, else the next task.
  async advance() {
    const task = this.current?.task;
    const open = task?.relations.find((relation) => !(relation in task.answered));
    if (task && open) return this.#ask(task, open);
    this.current = null;
    for (;;) {
      const next = this.tasks.shift();
      if (next) {
        const relation = next.relations.find((name) => !(name in next.answered));
        if (!relation) continue;
        this.#ask(next, relation);
        this.fill();
        return undefined;
      }
      if (!(await this.fill(true))) return undefined;
    }
  }

  #ask(task, relation) {
    this.current = { task, relation };
    this.waiting = "";
    this.told({ type: "task", task, relation });
  }

  // Gets more tasks when few are left. Resolves to true if there is one now.
  async fill(needed = false) {
    if (!needed && this.tasks.length >= AHEAD - 1) return true;
    this.filling ??= this.#fetch().finally(() => { this.filling = null; });
    let error = await this.filling;
    if (needed && !error && this.tasks.length === 0 && this.stale) {
      // What the server gave was answered or taken back in the meantime: ask again when it knows.
      await this.outbox.settled();
      error = await this.#fetch();
    }
    if (this.tasks.length > 0) return true;
    if (needed && !this.current) {
      if (error) this.told({ type: "problem", error });
      else this.told({ type: "waiting", waiting: this.waiting || "later" });
    }
    return false;
  }

  async #fetch() {
    const asked = performance.now();
    const held = this.tasks.length + (this.current ? 1 : 0) + this.#unsent().size;
    const { epoch } = this;
    let batch;
    try {
      batch = await post(`/api/projects/${this.project.id}/tasks`, { n: Math.min(16, held + AHEAD) });
    } catch (error) {
      if (error instanceof ApiError) return error;
      throw error;
    }
    this.stale = epoch !== this.epoch;   // an undo changed what is held: this list is of before
    if (this.stale) return null;
    const unsent = this.#unsent();
    const here = new Set([this.current?.task, ...this.tasks].filter(Boolean).map((task) => task.assignment));
    const arrived = (task) => (this.sent.get(task.assignment) ?? -1) >= asked;
    const missed = batch.tasks.filter((task) => unsent.has(task.assignment) || arrived(task)).length;
    this.stale = missed > 0;
    for (const task of batch.tasks) {
      if (here.has(task.assignment) || unsent.has(task.assignment) || arrived(task)) continue;
      this.tasks.push({ ...task, answered: { ...task.answered } });
    }
    this.done = batch.done + missed;
    this.left = batch.left === null ? null : Math.max(0, batch.left - missed);
    this.waiting = batch.waiting ?? "";
    this.#prefetch();
    this.told({ type: "count" });
    return null;
  }

  #prefetch() {
    for (const task of this.tasks.slice(0, AHEAD)) this.pictures.wantWork(task.image).catch(() => {});
  }

  // Assignments whose answers wait in the outbox and were not taken back.
  #unsent() {
    const waiting = new Map();
    for (const item of this.outbox.pending) {
      if (item.path === "/api/undo") waiting.delete(item.body.response);
      else waiting.set(item.uuid, item.body.assignment);
    }
    return new Set(waiting.values());
  }

  // Records an answer to the current question. details: reason, confidence, times, client.
  async answer(shown, details) {
    const { task, relation } = this.current;
    const id = uuid();
    const body = { uuid: id, assignment: task.assignment, relation, shown, reason: "", confidence: "", ...details };
    // The result of a practice pair is shown at once, so it cannot be taken back.
    if (!task.qualification) this.history.push({ uuid: id, task, relation, shown });
    if (this.history.length > STEPS) this.history.shift();
    task.answered[relation] = shown;
    const complete = task.relations.every((name) => name in task.answered);
    if (complete && !task.qualification) { this.done += 1; if (this.left) this.left -= 1; }
    const receipt = task.qualification ? new Promise((resolve) => this.receipts.set(id, resolve)) : null;
    const snapshot = { ...task, answered: { ...task.answered } };
    this.outbox.add({ uuid: id, path: "/api/answers", body, task: snapshot });
    if (receipt) {
      this.told({ type: "checking" });
      const feedback = (await receipt)?.feedback;
      if (feedback) await this.told({ type: "feedback", feedback, shown, task });
      if (feedback && typeof feedback.passed === "boolean") {
        this.tasks = [];
        await this.told({ type: "qualified", passed: feedback.passed });
      }
    }
    return this.advance();
  }

  // Takes the last answer back and asks again. Resolves to false if there is none.
  async undo() {
    const last = this.history.pop();
    this.epoch += 1;
    if (!last) return this.#undoBefore();
    const refused = this.outbox.refused.find((item) => item.uuid === last.uuid);
    if (refused) await this.outbox.forget(refused);
    else {
      const id = uuid();
      this.outbox.add({ uuid: id, path: "/api/undo", body: { uuid: id, response: last.uuid }, task: null });
    }
    this.#reopen(last.task, last.relation);
    return true;
  }

  // An answer of before this page was loaded: only the server knows it.
  async #undoBefore() {
    if (this.outbox.pending.length) await this.outbox.wake();
    const { answers } = await get(`/api/projects/${this.project.id}/history?n=1`);
    if (answers.length === 0) return false;
    const { task } = await post("/api/undo", { uuid: uuid(), response: answers[0].uuid });
    const relation = task.relations.find((name) => !(name in task.answered)) ?? task.relations[0];
    this.#reopen({ ...task, answered: { ...task.answered } }, relation);
    return true;
  }

  #reopen(task, relation) {
    const complete = task.relations.every((name) => name in task.answered);
    if (complete && !task.qualification) { this.done = Math.max(0, this.done - 1); if (this.left !== null) this.left += 1; }
    delete task.answered[relation];
    this.sent.delete(task.assignment);
    const now = this.current?.task;
    this.tasks = this.tasks.filter((other) => other.assignment !== task.assignment);
    if (now && now.assignment !== task.assignment) this.tasks.unshift(now);
    this.#ask(task, relation);
    this.#prefetch();
  }

  // News from the outbox.
  delivered({ item, receipt, elsewhere }) {
    if (item.path === "/api/undo") { this.#renewed(receipt?.task, item.body.response); return; }
    const task = item.task;
    const whole = task && task.relations.every((name) => name in task.answered);
    const undone = !elsewhere && !this.history.some((entry) => entry.uuid === item.uuid);
    if (whole && !undone) this.sent.set(item.body.assignment, performance.now());
    this.receipts.get(item.uuid)?.(receipt);
    this.receipts.delete(item.uuid);
    if (!elsewhere) return;
    // Another tab answered: do not ask the same again here.
    this.tasks = this.tasks.filter((other) => other.assignment !== item.body.assignment);
    if (whole && this.current?.task.assignment === item.body.assignment) {
      this.current.task.answered = { ...task.answered };
      this.told({ type: "elsewhere" });
      this.advance();
    }
  }

  // The server opened a question again, perhaps under another number.
  #renewed(task, response) {
    if (!task || !this.current || this.current.task.pair !== task.pair) return;
    this.current.task.lease_until = task.lease_until;
    if (response) this.current.task.assignment = task.assignment;
  }

  refused({ item }) {
    this.receipts.get(item.uuid)?.(null);
    this.receipts.delete(item.uuid);
  }

  #held() { return [this.current?.task, ...this.tasks].filter(Boolean).map((task) => task.assignment); }

  // Tells the server that the tasks here are still wanted, while the person is active.
  async #beat() {
    const held = this.#held();
    if (document.hidden || held.length === 0 || performance.now() - this.touched > 3 * BEAT_MS) return;
    try { await post("/api/heartbeat", { assignments: held.slice(0, 64) }); } catch (error) {
      if (!(error instanceof ApiError)) throw error;   // a late answer is taken all the same
    }
  }

  // The page closes: others may have what was not answered.
  giveBack() {
    const held = this.#held();
    if (held.length) post("/api/return", { assignments: held.slice(0, 64) }, { keepalive: true }).catch(() => {});
  }

  // Back from the browser's page cache: what was held was given back.
  restart() {
    this.tasks = [];
    this.current = null;
    return this.advance();
  }
}
