// Sign-in: the token comes in the fragment of the link (#t=...), which no server log and no referrer ever sees.

import { ApiError, login, session, wayBack } from "./api.js";
import { byId, el } from "./dom.js";
import { homeOf, mayOpen, notice, PAGES } from "./nav.js";

// The token in a pasted link or text; empty if there is none.
export function tokenIn(text) {
  const trimmed = text.trim();
  const at = trimmed.indexOf("#t=");
  const token = at >= 0 ? trimmed.slice(at + 3) : trimmed;
  return /^[\w\-.~]{8,200}$/.test(token) ? token : "";
}

// The token of this page's address; it leaves the address bar and the history at once.
function takeFragment() {
  if (!location.hash) return "";
  const token = tokenIn(location.hash);
  history.replaceState(null, "", location.pathname + location.search);
  return token;
}

function goOn(role) {
  const back = wayBack();
  const page = PAGES.find((one) => one.path === back.split("?")[0]);
  location.replace(page && mayOpen(role, page.id) ? back : homeOf(role));
}

async function signIn(token) {
  const button = byId("submit");
  const field = byId("token");
  button.disabled = true;
  field.removeAttribute("aria-invalid");
  byId("message").replaceChildren();
  try {
    const { person } = await login(token);
    goOn(person.role);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const wrong = error.kind === "signed-out" || error.kind === "forbidden" || error.kind === "refused";
    notice(byId("message"), "bad", wrong ? "This link does not work." : error.message, wrong
      ? error.hint || "It may have been replaced by a newer one, or it was cut when it was copied." : error.hint);
    if (wrong) field.setAttribute("aria-invalid", "true");
    button.disabled = false;
    field.focus();
  }
}

async function start() {
  const token = takeFragment();
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const typed = tokenIn(byId("token").value);
    if (typed) { signIn(typed); return; }
    byId("token").setAttribute("aria-invalid", "true");
    notice(byId("message"), "bad", byId("token").value.trim()
      ? "This is not a link or token of a study." : "Paste your link or token first.",
    "Copy the whole link, up to its last letter.");
    byId("token").focus();
  });
  addEventListener("hashchange", () => { const later = takeFragment(); if (later) signIn(later); });
  if (token) { await signIn(token); return; }
  try {
    const { person } = await session();
    byId("message").replaceChildren(el("div", { class: "notice notice-good" }, el("div", {},
      `You are signed in as ${person.alias}. `, el("a", { href: homeOf(person.role) }, "Go on"))));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.kind === "offline") notice(byId("message"), "warn", error.message, "Check that the server runs.");
  }
  byId("token").focus();
}

start();
