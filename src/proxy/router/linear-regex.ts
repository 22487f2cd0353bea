import type { Invalid } from './pattern.ts';

export interface LinearRegex {
  /** Whether some part of the text matches. */
  test(text: string): boolean;
}

export function compileLinearRegex(source: string): LinearRegex | Invalid {
  try {
    const regex = new RegExp(source);
    return { test: (text) => regex.test(text) };
  } catch (error) {
    return { error: String(error) };
  }
}
