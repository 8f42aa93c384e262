import { hashBytes, type SizedRoot } from './merkle-tree.ts'

/** A checkpoint as it was signed: a note of C2SP tlog-checkpoint, which witnesses of any make can read, keep and countersign. */
export type Checkpoint = SizedRoot & {
  readonly origin: string
  /** The first log of the bank is 1; one that had to begin anew is the next (begin-log.ts). */
  readonly log: number
  readonly signedAt: Date
  readonly note: string
}

export class BadCheckpoint extends Error {
  override name = 'BadCheckpoint'
}

/** Signs the text of a note. Behind it is a file now; a key service or PKCS#11 module signs elsewhere. */
export type NoteSigner = { keyIdOf(origin: string): Buffer; sign(text: Buffer): Promise<Buffer> }
export type NoteVerifier = { keyIdOf(origin: string): Buffer; verify(text: Buffer, signature: Buffer): boolean }

/** What the first log is called, and who speaks for it and those after it. Of keys that were replaced the public parts stay for ever. */
export type LogVerifiers = { readonly origin: string; readonly verifiers: readonly NoteVerifier[] }
export type LogSigner = LogVerifiers & { readonly signer: NoteSigner }

const noteAtMostBytes = 4_096
const keyIdBytes = 4
const timeLine = 'time '
const laterLog = /^\/log-([2-9]|[1-9][0-9]{1,4})$/

/** Each log has a name of its own, so that nobody takes a checkpoint of one for one of another. */
export const originOf = (origin: string, log: number): string => (log === 1 ? origin : `${origin}/log-${log}`)

function logCalled(name: string, origin: string): number | undefined {
  if (name === origin) return 1
  const [, digits] = laterLog.exec(name.startsWith(origin) ? name.slice(origin.length) : '') ?? []
  return digits === undefined ? undefined : Number(digits)
}

/** Without knowing what the first one is called. */
export const logsMaybeCalled = (origin: string): number[] => [1, Number(/\/log-([1-9][0-9]{0,4})$/.exec(origin)?.[1] ?? 1)]

export type LogTree = SizedRoot & { readonly log: number }

export async function signCheckpoint({ origin: first, signer }: LogSigner, { log, size, root }: LogTree, now: Date): Promise<Checkpoint> {
  const origin = originOf(first, log)
  const text = `${origin}\n${size}\n${root.toString('base64')}\n${timeLine}${now.toISOString()}\n`
  const signature = Buffer.concat([signer.keyIdOf(origin), await signer.sign(Buffer.from(text))])
  return { origin, log, size, root, signedAt: now, note: `${text}\n— ${origin} ${signature.toString('base64')}\n` }
}

/**
 * Reads a checkpoint that one of these keys has signed. Signatures of others, such as witnesses, are passed over.
 *
 * @throws {BadCheckpoint} saying what is wrong with it.
 */
export function openCheckpoint(note: string, { origin: first, verifiers }: LogVerifiers): Checkpoint {
  const parsed = parseNote(note)
  const { origin } = parsed
  const log = logCalled(origin, first)
  if (log === undefined) throw new BadCheckpoint(`it is of the log ${origin}, not of ${first}`)
  const end = note.indexOf('\n\n') + 1
  const text = Buffer.from(note.slice(0, end))
  const lines = note.slice(end + 1, -1).split('\n')
  const isSigned = lines.some((line) => {
    const [, name, encoded = ''] = /^— (\S+) ([A-Za-z0-9+/]+={0,2})$/.exec(line) ?? []
    const bytes = Buffer.from(encoded, 'base64')
    if (name !== origin || bytes.toString('base64') !== encoded) return false
    const [keyId, signature] = [bytes.subarray(0, keyIdBytes), bytes.subarray(keyIdBytes)]
    return verifiers.some((verifier) => verifier.keyIdOf(origin).equals(keyId) && verifier.verify(text, signature))
  })
  if (!isSigned) throw new BadCheckpoint('no signature on it is good under the given key')
  return { ...parsed, log }
}

/** Whoever has signed it. @throws {BadCheckpoint} */
export function parseNote(note: string): Omit<Checkpoint, 'log'> {
  if (Buffer.byteLength(note) > noteAtMostBytes) throw new BadCheckpoint(`it is longer than ${noteAtMostBytes} bytes`)
  const [, origin = '', digits = '', encoded = '', time = ''] =
    /^(\S+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\ntime (\S{24})\n\n(?:— [^\n]+\n)+$/.exec(note) ?? []
  const [root, signedAt] = [Buffer.from(encoded, 'base64'), new Date(time)]
  const isRead = origin !== '' && root.length === hashBytes && root.toString('base64') === encoded && Number.isSafeInteger(Number(digits))
  if (!isRead || Number.isNaN(signedAt.getTime())) throw new BadCheckpoint('it is not a signed note with origin, size, root and time')
  return { origin, size: Number(digits), root, signedAt, note }
}
