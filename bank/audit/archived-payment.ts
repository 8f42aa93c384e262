import { join } from 'node:path'
import { type Database, sql, z } from '@bankside/service-kit/postgres'
import { type Archive, storedArchives } from './archive.ts'
import { type ArchivedRow, rowsOfArchive, sha256OfFile } from './archive-file.ts'
import { CannotProve } from './prove-leaf.ts'
import { readingSnapshot as reading } from './reading-snapshot.ts'

/** A record in a file, and the log that its leaf is in. */
export type ArchivedRecord = ArchivedRow & { readonly log: number }

const paymentRow = z.object({ consent_id: z.string(), hold_id: z.string().nullable() })

/**
 * What the files hold of a payment: the records of it, of its consent and of its hold. Each file is the one that was written, or none of it is taken.
 * As the database's owner.
 *
 * @throws {CannotProve} where a file is missing or another, or there is no such payment.
 */
export async function archivedRecordsOf(database: Database, paymentId: string, folder: string): Promise<readonly ArchivedRecord[]> {
  const { archives, payment } = await reading(database, async (tx) => ({
    archives: (await storedArchives(tx)).archives,
    payment: await tx.maybeOne(sql.type(paymentRow)`select consent_id, hold_id from payments.payment where payment_id = ${paymentId}`),
  }))
  if (payment === null) throw new CannotProve(`there is no payment ${paymentId}`)
  const subjects = new Set([paymentId, payment.consent_id, payment.hold_id])
  const isOfIt = ({ row: { subject = null } }: ArchivedRow) => subject !== null && subjects.has(subject)
  const found: ArchivedRecord[] = []
  for (const archive of archives)
    for await (const row of rowsOfArchive(await fileOf(archive, folder))) if (isOfIt(row)) found.push({ ...row, log: archive.log })
  return found
}

async function fileOf({ file, sha256 }: Archive, folder: string): Promise<string> {
  const path = join(folder, file)
  const found = await sha256OfFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new CannotProve(`${path} is not there`)
    throw error
  })
  if (found !== sha256) throw new CannotProve(`${path} is not the file that was written: npm run audit:verify says more`)
  return path
}
