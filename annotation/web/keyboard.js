// Which key means which action. A key is known by its place (event.code) and by what it types (event.key): what it types
// wins, so that the letters on the screen hold on every layout; the place is the second try, for layouts that type something
// else there (AZERTY types & on the 1 key). A person's own keys are known by their place alone.

export const ACTIONS = [
  // name, words, codes, typed
  ["first", "Point A is closer", ["Digit1", "Numpad1", "KeyA"], ["1", "a"]],
  ["second", "Point B is closer", ["Digit2", "Numpad2", "KeyB"], ["2", "b"]],
  ["left", "The left point is closer", ["ArrowLeft"], ["ArrowLeft"]],
  ["right", "The right point is closer", ["ArrowRight"], ["ArrowRight"]],
  ["upper", "The upper point is closer", ["ArrowUp"], ["ArrowUp"]],
  ["lower", "The lower point is closer", ["ArrowDown"], ["ArrowDown"]],
  ["equal", "Both at the same distance", ["KeyE"], ["e"]],
  ["skip", "Skip, with a reason", ["KeyS"], ["s"]],
  ["undo", "Undo (also Ctrl+Z)", ["KeyU"], ["u"]],
  ["zoom", "Whole picture or the pair", ["KeyZ"], ["z"]],
  ["native", "One picture pixel on one screen pixel", ["KeyN"], ["n"]],
  ["loupe", "Loupe", ["KeyL"], ["l"]],
  ["loupe_more", "Loupe stronger", ["BracketRight"], ["]"]],
  ["loupe_less", "Loupe weaker", ["BracketLeft"], ["["]],
  ["hide", "Hide the markers while held", ["KeyH"], ["h"]],
  ["help", "Help", [], ["?"]],
  ["keys", "Keys and settings", ["KeyK"], ["k"]],
].map(([name, words, codes, typed]) => ({ name, words, codes, typed }));

const NAMES = new Set(ACTIONS.map((action) => action.name));
// Keys that must keep their meaning in the page.
export const RESERVED = new Set(["Tab", "Escape", "Enter", "NumpadEnter", "Space", "ContextMenu", "F5", "F11", "F12"]);

// The names in a saved remapping that are ours, with values that are key codes or "" for off.
export function cleaned(saved) {
  const keys = {};
  for (const [action, code] of Object.entries(saved ?? {})) {
    if (NAMES.has(action) && typeof code === "string" && /^[A-Za-z0-9]{0,32}$/.test(code)) keys[action] = code;
  }
  return keys;
}

// Two actions on one key, as [[code, [action, action]], ...].
export function conflicts(saved) {
  const users = new Map();
  const custom = cleaned(saved);
  for (const action of ACTIONS) {
    const own = custom[action.name];
    for (const code of own === undefined ? action.codes : own ? [own] : []) {
      users.set(code, [...(users.get(code) ?? []), action.name]);
    }
  }
  return [...users].filter(([, actions]) => actions.length > 1);
}

// True for key presses that are not ours: held down, part of an input method, with Ctrl, Alt or Meta.
export function ignored(event) {
  return event.repeat || event.isComposing || event.keyCode === 229 || event.key === "Process" || event.key === "Dead"
    || event.ctrlKey || event.altKey || event.metaKey || event.getModifierState?.("AltGraph") === true;
}

// The action of a key press, or null.
export function actionOf(event, saved) {
  const custom = cleaned(saved);
  const typed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  for (const action of ACTIONS) {
    if (custom[action.name] && custom[action.name] === event.code) return action.name;
  }
  const standard = ACTIONS.filter((action) => custom[action.name] === undefined);
  // A key that a person gave to something else has lost its standard meaning, by place and by letter.
  const byType = standard.find((action) => action.typed.includes(typed));
  if (byType) return byType.name;
  if (event.shiftKey) return null;
  return standard.find((action) => action.codes.includes(event.code))?.name ?? null;
}

export const isUndoChord = (event) =>
  (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && !event.repeat
  && (event.key.toLowerCase() === "z" || (event.code === "KeyZ" && !/^[a-z]$/i.test(event.key)));

const WORDS = {
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", BracketLeft: "[", BracketRight: "]", Slash: "/",
  Backslash: "\\", Semicolon: ";", Quote: "'", Comma: ",", Period: ".", Minus: "-", Equal: "=", Backquote: "`",
};

// What to print on a key cap.
export function capOf(code, learned = {}) {
  if (!code) return "off";
  if (learned[code]) return learned[code];
  return WORDS[code] ?? code.replace(/^Key|^Digit/, "").replace(/^Numpad/, "Num ");
}

// The caps of an action: a person's own key, or the standard ones.
export function capsOf(name, saved, learned) {
  const own = cleaned(saved)[name];
  if (own !== undefined) return own ? [capOf(own, learned)] : [];
  const action = ACTIONS.find((entry) => entry.name === name);
  return action.typed.map((typed) => WORDS[typed] ?? typed.toUpperCase());
}
