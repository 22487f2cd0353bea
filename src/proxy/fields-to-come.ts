/** What policies want in the head of a response that is still to come, whoever makes it. */
import { equalsIgnoringCase } from '../http/grammar.ts';
import type { LimitCharge } from '../contract.ts';
import type { HeaderFields } from '../http/header-fields.ts';
import type { ProxyExchange } from './exchange.ts';

export class FieldsToCome {
  /** Names and values in turn. */
  private readonly fields: string[] = [];
  /** Of these, the names that are to stand alone; null for none. */
  private alone: string[] | null = null;

  /** Adds members to a list. */
  add(name: string, value: string): void {
    const { fields } = this;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== name) continue;
      fields[i + 1] += `, ${value}`;
      return;
    }
    fields.push(name, value);
  }

  set(name: string, value: string): void {
    const { fields } = this;
    for (let i = fields.length - 2; i >= 0; i -= 2) if (equalsIgnoringCase(fields[i], name)) fields.splice(i, 2);
    fields.push(name, value);
    (this.alone ??= []).push(name);
  }

  addTo(headers: HeaderFields): void {
    const { fields, alone } = this;
    if (alone !== null) for (const name of alone) headers.remove(name);
    for (let i = 0; i < fields.length; i += 2) headers.add(fields[i], fields[i + 1]);
  }
}

/** Adds what was wanted in the response before there was one. */
export function addFieldsToCome(
  { fieldsToCome, limitCharge }: Pick<ProxyExchange, 'fieldsToCome' | 'limitCharge'>,
  headers: HeaderFields,
): void {
  if (limitCharge !== null) addLimitFields(limitCharge, headers);
  fieldsToCome?.addTo(headers);
}

/** How the limits stand, in the order in which they were come to (draft-ietf-httpapi-ratelimit-headers-10, section 3). */
export function addLimitFields(last: LimitCharge, headers: HeaderFields): void {
  const { policyLine } = last;
  if (policyLine === '') return;
  let { state } = last;
  for (let charge = last.previous; charge !== null; charge = charge.previous) {
    const { state: before } = charge;
    if (before !== '') state = state === '' ? before : `${before}, ${state}`;
  }
  headers.addMade('ratelimit-policy', policyLine);
  headers.addMade('ratelimit', `ratelimit: ${state}\r\n`);
}
