/** Where certificates and keys come from: PEM files, or PEM text that the configuration has already read. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** Something is wrong with a certificate or key. The message names the file, and says nothing of what is in it. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError';
  readonly file: string;

  constructor(file: string, reason: string) {
    super(`${file} ${reason}`);
    this.file = file;
  }
}

/** Whether a value is PEM text itself: what contains `-----BEGIN ` is, anything else is the name of a file. */
export function isPemText(value: string): boolean {
  return value.includes('-----BEGIN ');
}

/** One PEM file, or PEM text itself. */
export class PemSource {
  /** The absolute path, or for PEM text the place in the configuration. */
  readonly file: string;
  readonly isFile: boolean;
  private readonly inline: string;

  /**
   * @param baseDir what relative names are relative to.
   * @param place where in the configuration the value stands, such as `certificates[0].key`.
   */
  constructor(value: string, baseDir: string, place: string) {
    this.isFile = !isPemText(value);
    this.file = this.isFile ? resolve(baseDir, value) : place;
    this.inline = this.isFile ? '' : value;
  }

  /** The PEM text, read anew each time. @throws {TlsFileError} */
  read(): string {
    if (!this.isFile) return this.inline;
    try {
      return readFileSync(this.file, 'latin1');
    } catch (error) {
      throw new TlsFileError(this.file, `cannot be read: ${reasonOf(error)}`);
    }
  }

  /** All certificates of the text, in order, at least one. @throws {TlsFileError} */
  readCertificates(): PemCertificates {
    const pem = this.read();
    const blocks =
      pem.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g) ??
      [];
    if (blocks.length === 0) throw new TlsFileError(this.file, 'holds no certificate in PEM');
    const certificates = blocks.map((block, index) => {
      try {
        return new X509Certificate(block);
      } catch {
        throw new TlsFileError(this.file, `holds a damaged certificate (number ${index + 1})`);
      }
    });
    return { pem: blocks.join('\n'), certificates };
  }
}

export interface PemCertificates {
  readonly pem: string;
  readonly certificates: readonly X509Certificate[];
}

/** What went wrong, without the stack: for problems and the log. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
