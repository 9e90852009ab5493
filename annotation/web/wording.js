// The words of a question: on the page and for screen readers.

export const NAMES = { first: "A", second: "B", equal: "Equal", skip: "Skip" };

// {title, more} of what is asked about a task.
export function question(task, relation) {
  if (relation === "front") {
    return { title: "In front: at which point is the nearest surface closer?", step: "Question 1 of 2",
      more: "Glass counts as a surface: compare what your hand would touch first." };
  }
  if (relation === "back") {
    return { title: "Behind: at which point is what you see through it closer?", step: "Question 2 of 2",
      more: "Look through the glass and compare what lies behind. Where there is no glass, take the surface itself." };
  }
  return { title: "Which point is closer to the camera?", step: "", more: "" };
}

// "A first answer says..." of an open check.
export const proposal = (task) =>
  (task.mode === "open" && task.proposed
    ? `A first answer says: ${task.proposed === "equal" ? "both are equal" : `${NAMES[task.proposed]} is closer`}. Answer what you see yourself.`
    : "");

export const practice = (qualification) =>
  `Practice round: pair ${Math.min(qualification.done + 1, qualification.pairs)} of ${qualification.pairs}. `
  + `${qualification.pass_at} right answers are needed; ${qualification.right} so far.`;

export function spoken({ task, relation, position, total }) {
  const { title, step } = question(task, relation);
  const place = task.qualification ? "Practice pair" : `Pair ${position}${total ? ` of ${total}` : ""}`;
  return `${place}${task.scene ? `, scene ${task.scene.replaceAll("_", " ")}` : ""}. ${step ? `${step}. ` : ""}${title}`;
}

// Which of the two points lies left, right, upper or lower on the screen; null when there is no such order.
export function sided(task, side) {
  const along = side === "left" || side === "right" ? "col" : "row";
  const difference = task.first[along] - task.second[along];
  if (difference === 0) return null;
  const least = side === "left" || side === "upper";
  return (difference < 0) === least ? "first" : "second";
}
