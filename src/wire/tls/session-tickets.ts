/** TLS session resumption on the server's side (RFC 5077, RFC 8446 section 4.6.1). */
import { createHash, hkdfSync } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import type { Clock } from '../../util/clock.ts';

const dayMs = 24 * 60 * 60 * 1000;

/** What holds for all sessions of a listener, beside the authorities that vouch for its clients. */
export interface TicketSettings {
  readonly minVersion: string;
  readonly requiresClientCertificate: boolean;
}

/**
 * The keys of a listener's session tickets.
 *
 * They are derived (RFC 5869) and not drawn, so that all threads that share the secret resume each other's sessions
 * without speaking to each other: which of them gets a connection is chance. They change with the day, so that keys that
 * leak open no more than a day of sessions; a client that comes back across midnight shakes hands in full, once.
 */
export class SessionTickets {
  private readonly secret: Uint8Array;
  private readonly settings: TicketSettings;
  private readonly clock: Clock;
  private day: number;

  /** @param secret at least 32 random bytes. */
  constructor(secret: Uint8Array, settings: TicketSettings, clock: Clock) {
    if (secret.length < 32) throw new TypeError('the secret of session tickets must have at least 32 bytes');
    this.secret = secret;
    this.settings = settings;
    this.clock = clock;
    this.day = this.today();
  }

  /**
   * Resumption skips the verification of the client's certificate, so a session that began under other settings, or with
   * other authorities, must not be resumed (CVE-2022-21654); neither may one from a listener that asks less of its
   * clients (CVE-2025-23419). Both the keys and the session id context depend on all of that.
   *
   * @param clientCa the PEM of the authorities that vouch for clients, or null when no certificate is asked for.
   */
  options(clientCa: string | null): SecureContextOptions {
    const { minVersion, requiresClientCertificate } = this.settings;
    // JSON keeps the parts apart: a digest over joined parts could be the same for different ones (CVE-2023-35941).
    const scope = createHash('sha256')
      .update(JSON.stringify([minVersion, requiresClientCertificate, clientCa]))
      .digest('hex');
    return {
      ticketKeys: Buffer.from(hkdfSync('sha256', this.secret, scope, `gatewright session tickets ${this.day}`, 48)),
      // OpenSSL allows 32 bytes.
      sessionIdContext: scope.slice(0, 32),
    };
  }

  /** Moves on to the keys of the day. @returns whether they have changed. */
  rotate(): boolean {
    const today = this.today();
    const isNew = today !== this.day;
    this.day = today;
    return isNew;
  }

  private today(): number {
    return Math.floor(this.clock.wallNow() / dayMs);
  }
}
