import { NUMBERS, type NumberName, type Rule, type RuleChange } from "../../api/rules.ts";

/** A rule as somebody edits it: numbers as they are typed. */
export type Draft = Readonly<Record<NumberName, string>> & { readonly isOn: boolean };

export function draftOf(rule: Rule): Draft {
  const numbers = Object.fromEntries(NUMBERS.map((name) => [name, String(rule[name])])) as Record<NumberName, string>;
  return { ...numbers, isOn: rule.is_on };
}

/** What the draft changes against how the rule ships; null where a number cannot be read. */
export function changeOf(rule: Rule, draft: Draft): RuleChange | null {
  const change: Record<NumberName, number | null> = {
    fire: null,
    resolve: null,
    fire_seconds: null,
    resolve_seconds: null,
    least: null,
  };
  for (const name of rule.changeable) {
    const value = Number(draft[name]);
    if (draft[name].trim() === "" || !Number.isFinite(value) || value < 0) return null;
    if (value !== rule.shipped[name]) change[name] = value;
  }
  return { ...change, is_on: draft.isOn ? null : false };
}

export function isChanged(rule: Rule, draft: Draft): boolean {
  const now = draftOf(rule);
  return draft.isOn !== now.isOn || rule.changeable.some((name) => draft[name] !== now[name]);
}

/** Whether the rule is as it ships. */
export function isShipped(rule: Rule): boolean {
  return rule.is_on && rule.changeable.every((name) => rule[name] === rule.shipped[name]);
}

const UNITS: Readonly<Record<string, string>> = { seconds: "seconds", share: "of 1", times: "times as much" };

/** What the number is, with its unit. */
export function labelOf(name: NumberName, unit: string): string {
  const inUnit = UNITS[unit] ? ` (${UNITS[unit]})` : "";
  const labels: Readonly<Record<NumberName, string>> = {
    fire: `Rings from${inUnit}`,
    resolve: `Is over below${inUnit}`,
    fire_seconds: "Rings after so many seconds",
    resolve_seconds: "Is over after so many seconds",
    least: "Only from so many jobs",
  };
  return labels[name];
}
