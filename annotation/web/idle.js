// What happens between the pairs: practice feedback, a pause, and all the reasons why nothing can be asked now.

import { ApiError, session, toLogin } from "./api.js";
import { announce, byId } from "./dom.js";
import { hidePanel, note, showFeedback, showPanel, showWaiting } from "./panels.js";

export class Idle {
  constructor(page) {
    this.page = page;
  }

  suggestPause(task) {
    const minutes = this.page.project.pause_after_minutes;
    if (!minutes || task.qualification || this.page.worked < minutes * 60000 || byId("note-pause")) return;
    note(`You have worked for ${Math.round(this.page.worked / 60000)} minutes. A short break keeps answers good.`,
      { id: "note-pause", actions: [{ text: "Go on", run: () => { this.page.worked = 0; } }] });
  }

  async feedback({ feedback, shown }) {
    const state = this.page.project.qualification;
    state.done += 1;
    if (feedback.right) state.right += 1;
    announce(byId("live"), `${feedback.right ? "Right." : "Not right."} ${feedback.note}`);
    await showFeedback(feedback, shown, feedback.passed === null ? `${state.right} right of ${state.done}; ${state.pass_at} of ${state.pairs} are needed.` : "");
  }

  async qualified(passed) {
    const found = (await session({ fresh: true }).catch(() => null))?.projects.find(({ id }) => id === this.page.project.id);
    if (found) this.page.project.qualification = found.qualification;
    const again = !passed && this.page.project.qualification.state === "open";
    await new Promise((resolve) => {
      showPanel(passed ? "Practice passed" : again ? "Not yet: one more round" : "Practice not passed",
        passed ? "From here on every pair counts, and nobody tells you whether an answer is right." : again ? "Look at the help once more, then try again." : "",
        [{ text: passed ? "Start" : "Go on", primary: true, run: resolve, keycap: "Enter" }]);
    });
    hidePanel();
  }

  away(title) {
    this.page.turn = (this.page.turn ?? 0) + 1;
    this.page.asked(false);
    this.page.stage.clear();
    this.page.idle = true;
    this.page.answering = false;
    document.body.dataset.waiting = title;
    this.page.drawPosition();
  }

  waiting(why) {
    this.away(why);
    const title = showWaiting(why, [{ text: "Look again", run: () => this.lookAgain(), primary: why === "later" }]);
    byId("position").textContent = why === "finished" ? `${this.page.work.done} done` : "";
    byId("question").textContent = title;
    byId("question-more").hidden = true;
    announce(byId("live"), title);
    if (why === "later") this.page.retry = setTimeout(() => this.lookAgain(), 30000);
  }

  lookAgain() {
    clearTimeout(this.page.retry);
    return this.page.work.advance();
  }

  problem(error) {
    this.away(error.kind);
    byId("question").textContent = "Nothing can be asked right now";
    byId("question-more").hidden = true;
    if (error.kind === "signed-out") {
      this.page.outbox.trouble = "signed-out";
      this.page.save.draw();
      const waiting = this.page.outbox.pending.length;
      showPanel("Your session has ended", `Sign in again to go on.${waiting ? ` Answers kept in this browser, to be sent then: ${waiting}.` : ""}`,
        [{ text: "Sign in", primary: true, run: toLogin }]);
      return;
    }
    if (error.retry) {
      showPanel(error.kind === "offline" ? "No connection to the server" : "The server is busy",
        ["New pairs come as soon as it answers.", this.page.outbox.pending.length ? `Answers kept here until then: ${this.page.outbox.pending.length}.` : ""],
        [{ text: "Try now", run: () => this.lookAgain() }]);
      this.page.retry = setTimeout(() => this.lookAgain(), 5000);
      return;
    }
    showPanel("This did not work", [error.message, error.hint], [{ text: "Try again", run: () => this.lookAgain() }]);
  }

  noPicture(error, task, relation) {
    if (error.status === 401) { this.problem(new ApiError("signed-out", "Your session has ended.")); return; }
    const again = () => this.page.ask(task, relation);
    if (error.status === 0 || error.status >= 500) this.page.retry = setTimeout(again, 4000);
    const skip = () => {
      this.page.shownAt = Date.now();
      this.page.watch.reset();
      hidePanel();
      this.page.work.answer("skip", { reason: "bad image", shown_at: null, answered_at: Date.now(), active_ms: 0, wall_ms: 0,
        client: { build: this.page.build, aids: ["no picture"] } });
    };
    showPanel("This picture does not come", error.message, [{ text: "Try again", primary: true, run: again }, { text: "Skip this pair", run: skip }]);
  }
}
