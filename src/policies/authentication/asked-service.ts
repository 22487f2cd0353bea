/** Somebody who has to be asked about a request. While there is no answer that makes sense, nobody passes (fail closed). */
import { CallError, type CallRequest, type CallResponse, type PolicyEnv, Refusal } from '../../contract.ts';

/** The log says that something is wrong, not how often: every refused request has its own line in the access log. */
const warnEveryMs = 60_000;

export class AskedService {
  private readonly name: string;
  private readonly env: Pick<PolicyEnv, 'call' | 'now' | 'warn'>;
  private warnAgainAt = -Infinity;

  /** @param name for the log, as in `the introspection endpoint`. */
  constructor(name: string, env: Pick<PolicyEnv, 'call' | 'now' | 'warn'>) {
    this.name = name;
    this.env = env;
  }

  /** The answer, whatever it says, or that there is none. */
  async ask(request: CallRequest): Promise<CallResponse | Refusal> {
    try {
      return await this.env.call(request);
    } catch (error) {
      // Anything else is a defect.
      if (!(error instanceof CallError)) throw error;
      return this.unavailable(error.message, request.signal?.aborted === true);
    }
  }

  /**
   * The answer is none.
   * @param why for the log: nothing of the answer, nor of what was sent.
   * @param isOurs nothing is wrong with the service.
   */
  unavailable(why: string, isOurs = false): Refusal {
    const now = this.env.now();
    if (now >= this.warnAgainAt && !isOurs) {
      this.warnAgainAt = now + warnEveryMs;
      this.env.warn(`${this.name} cannot be relied on, so requests are refused: ${why}`);
    }
    return new Refusal('unavailable', `${this.name}: ${why}`);
  }
}
