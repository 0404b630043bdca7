const WHOLE = new Intl.NumberFormat("en-US");

/** A whole number with its thousands apart: "12,430". */
export function count(value: number): string {
  return WHOLE.format(value);
}

/** "1 line", "412 lines". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A share of 1: "0.4 %", "25 %"; a little is not none, and almost all is not all. */
export function percent(share: number): string {
  const hundredths = share * 100;
  if (hundredths === 0 || hundredths === 100) return `${hundredths} %`;
  if (hundredths < 0.1) return "< 0.1 %";
  if (hundredths > 99.9) return "> 99.9 %";
  return `${hundredths < 10 || hundredths > 99 ? hundredths.toFixed(1).replace(".0", "") : Math.round(hundredths)} %`;
}
