const WHOLE = new Intl.NumberFormat("en-US");

/** A whole number with its thousands apart: "12,430". */
export function count(value: number): string {
  return WHOLE.format(value);
}

/** "1 line", "412 lines". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
