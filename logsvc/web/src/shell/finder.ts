/** One line of the palette. */
export interface Choice {
  id: string;
  /** What it is: its lines stand together under this word. */
  group: string;
  name: string;
  about?: string;
  run(): void;
}

/**
 * How well a name answers what was typed: higher is better, 0 is not at all.
 *
 * All words must be there, in any order; a name that begins with the text, or a word of it that does, counts more.
 */
export function scoreOf(typed: string, name: string): number {
  const words = typed.toLowerCase().split(/\s+/u).filter(Boolean);
  const text = name.toLowerCase();
  if (words.length === 0) return 1;
  let score = 0;
  for (const word of words) {
    const at = text.indexOf(word);
    if (at < 0) return 0;
    score += at === 0 ? 4 : /[\s\-_:./]/u.test(text[at - 1] ?? "") ? 3 : 1;
  }
  return score + words.length / Math.max(text.length, 1);
}

/** The choices that answer, the best of each group first; groups stay in their order. At most `limit` of a group. */
export function found(choices: readonly Choice[], typed: string, limit: number): Choice[] {
  const groups = [...new Set(choices.map((choice) => choice.group))];
  return groups.flatMap((group) =>
    choices
      .filter((choice) => choice.group === group)
      .map((choice) => ({ choice, score: scoreOf(typed, choice.name) }))
      .filter(({ score }) => score > 0)
      .toSorted((one, other) => other.score - one.score)
      .slice(0, limit)
      .map(({ choice }) => choice),
  );
}

/** Whether the text could be a job's id: then it is offered to be looked for. */
export function isJobId(typed: string): boolean {
  const text = typed.trim();
  return text !== "" && text.length <= 200 && (/\d/u.test(text) || text.length >= 12) && !/\s/u.test(text);
}
