/** A word or phrase of a search, in small letters. isWhole: it is no part of longer words. */
export interface Term {
  readonly text: string;
  readonly isWhole: boolean;
  readonly isWanted: boolean;
}

const PIECE = /(-?)"([^"]*)"?|(\S+)/g;
const LETTER = /[0-9a-z\u0080-\uFFFF]/;

/** Read a search as the server does (logsvc/search.py): words, "phrases", -not; a word with a digit is sought whole. */
export function termsOf(q: string): readonly Term[] {
  const terms: Term[] = [];
  let isWanted = true;
  for (const [, minus = "", phrase, word] of q.matchAll(PIECE)) {
    if (word === "AND" || word === "NOT") {
      isWanted &&= word === "AND";
      continue;
    }
    const term = word === undefined ? phraseTerm(phrase ?? "", minus) : wordTerm(word);
    if (term.text !== "") terms.push(isWanted ? term : { ...term, isWanted: false });
    isWanted = true;
  }
  return terms;
}

function phraseTerm(phrase: string, minus: string): Term {
  return { text: phrase.toLowerCase(), isWhole: false, isWanted: minus === "" };
}

function wordTerm(word: string): Term {
  const isWanted = !word.startsWith("-") || word === "-";
  const text = (isWanted ? word : word.slice(1)).toLowerCase();
  return { text, isWhole: /\p{Nd}/u.test(text), isWanted };
}

/** Whether a text is what the search asks for. */
export function hasAll(terms: readonly Term[], text: string): boolean {
  const lower = text.toLowerCase();
  return terms.every((term) => isIn(term, lower) === term.isWanted);
}

function isIn(term: Term, text: string): boolean {
  if (!term.isWhole) return text.includes(term.text);
  for (let at = text.indexOf(term.text); at >= 0; at = text.indexOf(term.text, at + 1)) {
    const end = at + term.text.length;
    if (!LETTER.test(text.charAt(at - 1)) && !LETTER.test(text.charAt(end))) return true;
  }
  return false;
}

/** Whether all that `previous` asks for is asked for by `next` too. */
export function isStricter(next: readonly Term[], previous: readonly Term[]): boolean {
  return previous.every((before) => next.some((term) => isImplied(before, term)));
}

function isImplied(before: Term, term: Term): boolean {
  if (term.isWanted !== before.isWanted) return false;
  if (before.isWanted && !before.isWhole) return term.text.includes(before.text);
  return term.text === before.text && term.isWhole === before.isWhole;
}
