/** Request methods (RFC 9110, section 9). */

const usual = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS'];

/**
 * `text[start, end)` as a method: a constant where it is a usual one. What is cut out of a text has to be looked up by its
 * letters wherever it is compared.
 */
export function methodIn(text: string, start: number, end: number): string {
  for (let i = 0; i < usual.length; i++) {
    const method = usual[i];
    if (method.length === end - start && isAt(text, start, method)) return method;
  }
  return text.substring(start, end);
}

function isAt(text: string, start: number, word: string): boolean {
  for (let i = 0; i < word.length; i++) {
    if (text.charCodeAt(start + i) !== word.charCodeAt(i)) return false;
  }
  return true;
}
