import { createHash, timingSafeEqual } from 'node:crypto'
import type { AccountId } from '../ids.ts'
import { refuse } from '../refusal.ts'

/** A place between two transactions of an account, and which way to read on from there. */
export type TransactionCursor = { readonly direction: 'older' | 'newer'; readonly bookedAt: Date; readonly postingNumber: bigint }

const checksumBytes = 6
const positionBytes = 17

/**
 * Opaque text. It says where to read on and nothing else: what may be read is decided again on every call, so a forged
 * cursor moves within what is permitted anyway. The checksum is there to answer a damaged or misplaced one with an error.
 */
export function formatCursor(accountId: AccountId, { direction, bookedAt, postingNumber }: TransactionCursor): string {
  const position = Buffer.alloc(positionBytes)
  position.writeUInt8(direction === 'older' ? 1 : 2, 0)
  position.writeBigInt64BE(BigInt(bookedAt.getTime()), 1)
  position.writeBigInt64BE(postingNumber, 9)
  return Buffer.concat([position, checksum(accountId, position)]).toString('base64url')
}

/** @throws {Refusal} `field_invalid`. */
export function parseCursor(accountId: AccountId, text: string): TransactionCursor {
  const bytes = Buffer.from(text, 'base64url')
  const position = bytes.subarray(0, positionBytes)
  const sound =
    bytes.length === positionBytes + checksumBytes &&
    bytes.toString('base64url') === text &&
    timingSafeEqual(bytes.subarray(positionBytes), checksum(accountId, position))
  if (!sound) refuse('field_invalid', 'not a page of this list', { path: 'page' })
  const bookedAt = new Date(Number(position.readBigInt64BE(1)))
  return { direction: position.readUInt8(0) === 1 ? 'older' : 'newer', bookedAt, postingNumber: position.readBigInt64BE(9) }
}

function checksum(accountId: AccountId, position: Buffer): Buffer {
  return createHash('sha256').update(`transactions of ${accountId}`).update(position).digest().subarray(0, checksumBytes)
}
