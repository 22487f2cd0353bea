/** The parts of a route that need nothing alive. */
import type { RedirectConfig, RespondConfig, RouteConfig } from '../config/schema.ts';
import type { Reply } from '../contract.ts';
import {
  compileHost,
  compileRedirect,
  compileTemplate,
  type RedirectTemplate,
  type TemplateError,
} from '../proxy/rewrite.ts';
import type { RouteRewrite } from '../proxy/route.ts';
import { CompileError } from './compile-error.ts';
import { captureNames } from './rule.ts';

/** One object for all routes without, so that it can be told by identity. */
export const noRewrite: RouteRewrite = { path: null, host: null };

/** @throws {CompileError} */
export function compileRewrite({ name, match, rewrite }: RouteConfig): RouteRewrite {
  if (rewrite === null) return noRewrite;
  const { path, host } = rewrite;
  const captures = captureNames(match.path);
  return {
    path: path === undefined ? null : must(`routes.${name}.rewrite.path`, compileTemplate(path, captures)),
    host: host === undefined ? null : must(`routes.${name}.rewrite.host`, compileHost(host)),
  };
}

/** @throws {CompileError} */
export function compileLocation({ name, match }: RouteConfig, { to }: RedirectConfig): RedirectTemplate {
  return must(`routes.${name}.redirect.to`, compileRedirect(to, captureNames(match.path)));
}

export function compileReply({ status, headers, body }: RespondConfig): Reply & { readonly body: string } {
  const fields = Object.entries(headers);
  const isTyped = fields.some(([name]) => name.toLowerCase() === 'content-type');
  if (body !== '' && !isTyped) fields.push(['content-type', 'text/plain; charset=utf-8']);
  return { status, headers: fields, body };
}

function must<T extends object | string>(place: string, result: T | TemplateError): T {
  if (typeof result === 'object' && 'error' in result) throw new CompileError(`${place}: ${result.error}`);
  return result;
}
