import { hashBytes, type SizedRoot } from './merkle-tree.ts'

/** A checkpoint as it was signed: a note of C2SP tlog-checkpoint, which witnesses of any make can read, keep and countersign. */
export type Checkpoint = SizedRoot & { readonly origin: string; readonly signedAt: Date; readonly note: string }

export class BadCheckpoint extends Error {
  override name = 'BadCheckpoint'
}

/** Signs the text of a note. Behind it is a file now; a key service or PKCS#11 module signs elsewhere. */
export type NoteSigner = { readonly keyId: Buffer; sign(text: Buffer): Promise<Buffer> }
export type NoteVerifier = { readonly keyId: Buffer; verify(text: Buffer, signature: Buffer): boolean }

/** What a log is called, and who speaks for it. Of keys that were replaced the public parts stay for ever. */
export type LogVerifiers = { readonly origin: string; readonly verifiers: readonly NoteVerifier[] }
export type LogSigner = LogVerifiers & { readonly signer: NoteSigner }

const noteAtMostBytes = 4_096
const keyIdBytes = 4
const timeLine = 'time '

export async function signCheckpoint({ origin, signer }: LogSigner, { size, root }: SizedRoot, now: Date): Promise<Checkpoint> {
  const text = `${origin}\n${size}\n${root.toString('base64')}\n${timeLine}${now.toISOString()}\n`
  const signature = Buffer.concat([signer.keyId, await signer.sign(Buffer.from(text))])
  return { origin, size, root, signedAt: now, note: `${text}\n— ${origin} ${signature.toString('base64')}\n` }
}

/**
 * Reads a checkpoint that one of these keys has signed. Signatures of others, such as witnesses, are passed over.
 *
 * @throws {BadCheckpoint} saying what is wrong with it.
 */
export function openCheckpoint(note: string, { origin, verifiers }: LogVerifiers): Checkpoint {
  const checkpoint = parse(note)
  if (checkpoint.origin !== origin) throw new BadCheckpoint(`it is of the log ${checkpoint.origin}, not of ${origin}`)
  const end = note.indexOf('\n\n') + 1
  const text = Buffer.from(note.slice(0, end))
  const lines = note.slice(end + 1, -1).split('\n')
  const isSigned = lines.some((line) => {
    const [, name, encoded = ''] = /^— (\S+) ([A-Za-z0-9+/]+={0,2})$/.exec(line) ?? []
    const bytes = Buffer.from(encoded, 'base64')
    if (name !== origin || bytes.toString('base64') !== encoded) return false
    const [keyId, signature] = [bytes.subarray(0, keyIdBytes), bytes.subarray(keyIdBytes)]
    return verifiers.some((verifier) => verifier.keyId.equals(keyId) && verifier.verify(text, signature))
  })
  if (!isSigned) throw new BadCheckpoint('no signature on it is good under the given key')
  return checkpoint
}

function parse(note: string): Checkpoint {
  if (Buffer.byteLength(note) > noteAtMostBytes) throw new BadCheckpoint(`it is longer than ${noteAtMostBytes} bytes`)
  const [, origin = '', digits = '', encoded = '', time = ''] =
    /^(\S+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\ntime (\S{24})\n\n(?:— [^\n]+\n)+$/.exec(note) ?? []
  const [root, signedAt] = [Buffer.from(encoded, 'base64'), new Date(time)]
  const isRead = origin !== '' && root.length === hashBytes && root.toString('base64') === encoded && Number.isSafeInteger(Number(digits))
  if (!isRead || Number.isNaN(signedAt.getTime())) throw new BadCheckpoint('it is not a signed note with origin, size, root and time')
  return { origin, size: Number(digits), root, signedAt, note }
}
