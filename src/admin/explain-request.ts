/** Explains a request by the configuration that serves, with its secrets hidden. */
import type { ExplainRequest } from './api-schemas.ts';
import type { ControlPlane } from './control-plane.ts';
import type { Answer } from './endpoint.ts';

/** What explains is only loaded for whoever asks. */
export async function explainRequest(control: ControlPlane, request: ExplainRequest): Promise<Answer> {
  const { ExplainError, explain } = await import('../compile/explain/explain.ts');
  try {
    const json = explain(control.config, request, {
      definitionOf: (use) => control.definitionOf(use) ?? undefined,
      hide: (text) => control.redact(text),
    });
    return { json };
  } catch (error) {
    if (error instanceof ExplainError) return { code: 'ADMIN_BAD_INPUT', detail: `${error.message}.` };
    throw error;
  }
}
