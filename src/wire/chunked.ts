/**
 * Decoder for the chunked transfer coding (RFC 9112, section 7.1), as strict as the head parser: a chunk line is
 * `size [extensions] CRLF`, and a bare CR or LF anywhere in it is an error (CVE-2025-55315, CVE-2025-22871,
 * CVE-2025-58056). Extensions are checked, counted (CVE-2024-22019) and dropped.
 */
import { HeadSource } from './head-source.ts';
import { latin1 } from './latin1.ts';
import { ResponseHead, parseTrailers, INCOMPLETE, type HeadLimits, type MessageHead } from './message-head.ts';
import type { HeaderFields } from '../http/header-fields.ts';

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
const SP = 0x20;
const HTAB = 0x09;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILERS = 6;
const DONE = 7;

/** 16^13 is the largest power of 16 that is still a safe integer. */
const maxSizeDigits = 13;
/** Leading zeros are grammatical; this many characters are enough for anybody. */
const maxSizeCharacters = 20;
const maxExtensionBytes = 4096;
const maxExtensionBytesPerBody = 65_536;

const extensions =
  /^(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9a-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9a-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)+$/i;

/** Receives the decoded bytes. A chunk of bytes is valid during the call only. */
export interface DataSink {
  data(bytes: Uint8Array): void;
}

export class ChunkedDecoder {
  /** Why the body was refused: a constant, for the log. */
  reason = '';
  /** The trailer fields, once done; null when there are none. */
  trailers: HeaderFields | null = null;

  private readonly limits: HeadLimits;
  private state = SIZE;
  private size = 0;
  private characters = 0;
  private remaining = 0;
  private extension = '';
  private extensionBytes = 0;
  private trailerText = '';

  constructor(limits: HeadLimits) {
    this.limits = limits;
  }

  get done(): boolean {
    return this.state === DONE;
  }

  /**
   * Decodes `bytes[from, to)` into the sink.
   * @returns the offset behind what was consumed (`to` unless the body ended before), or -1 when it is malformed.
   */
  decode(bytes: Buffer, from: number, to: number, sink: DataSink): number {
    let at = from;
    while (at < to && this.state !== DONE) {
      if (this.state === DATA) at = this.takeData(bytes, at, to, sink);
      else if (this.state === TRAILERS) at = this.takeTrailers(bytes, at, to);
      else if (this.takeByte(bytes[at++])) continue;
      else return -1;
      if (at < 0) return -1;
    }
    return at;
  }

  private takeData(bytes: Buffer, at: number, to: number, sink: DataSink): number {
    const end = Math.min(to, at + this.remaining);
    sink.data(bytes.subarray(at, end));
    this.remaining -= end - at;
    if (this.remaining === 0) this.state = DATA_CR;
    return end;
  }

  /** One byte of a chunk line or of the CRLF behind the data; false when it has no business there. */
  private takeByte(byte: number): boolean {
    switch (this.state) {
      case SIZE:
        return this.takeSize(byte);
      case EXTENSION:
        return this.takeExtension(byte);
      case SIZE_LF:
        return byte === LF ? this.endLine() : this.refuse('bad end of a chunk line');
      case DATA_CR:
        this.state = DATA_LF;
        return byte === CR || this.refuse('chunk longer than its size');
      default:
        this.state = SIZE;
        this.size = 0;
        this.characters = 0;
        return byte === LF || this.refuse('bad end of a chunk');
    }
  }

  private takeSize(byte: number): boolean {
    const digit = hexValue(byte);
    if (digit >= 0) {
      this.characters++;
      this.size = this.size * 16 + digit;
      return (
        (this.characters <= maxSizeCharacters && this.size < 16 ** maxSizeDigits) || this.refuse('chunk size too large')
      );
    }
    if (this.characters === 0) return this.refuse('chunk without a size');
    if (byte === CR) {
      this.state = SIZE_LF;
      return true;
    }
    if (byte !== SEMICOLON && byte !== SP && byte !== HTAB) return this.refuse('bad chunk size');
    this.state = EXTENSION;
    return this.takeExtension(byte);
  }

  private takeExtension(byte: number): boolean {
    if (byte === CR) {
      this.state = SIZE_LF;
      return true;
    }
    this.extension += String.fromCharCode(byte);
    const tooLong = this.extension.length > maxExtensionBytes || ++this.extensionBytes > maxExtensionBytesPerBody;
    return !tooLong || this.refuse('chunk extensions too long');
  }

  private endLine(): boolean {
    if (this.extension !== '' && !extensions.test(this.extension)) return this.refuse('bad chunk extension');
    this.extension = '';
    this.remaining = this.size;
    this.state = this.size === 0 ? TRAILERS : DATA;
    return true;
  }

  private takeTrailers(bytes: Buffer, at: number, to: number): number {
    const before = this.trailerText.length;
    this.trailerText += latin1(bytes, at, to);
    // Parse again only when a line may have become complete, so that a slow sender cannot make this quadratic.
    if (this.trailerText.indexOf('\n', before) === -1 && this.trailerText.length <= this.limits.headBytes) return to;
    const head: MessageHead = new ResponseHead();
    const end = parseTrailers(HeadSource.of(this.trailerText), this.limits, head);
    if (end === INCOMPLETE) return to;
    if (end < 0) {
      this.reason = head.reason;
      return -1;
    }
    if (head.headers.kinds.length > 0) this.trailers = head.headers;
    this.trailerText = '';
    this.state = DONE;
    return at + end - before;
  }

  private refuse(reason: string): false {
    this.reason = reason;
    return false;
  }
}

/** The value of an ASCII hexadecimal digit, or -1. */
function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
