/**
 * `npm run audit:prove -- --payment ID > proof.json`: what a third party (or `--for customer`, `--for auditor`) can check without
 * us; `--archive FOLDER` has the records that were archived (audit-archive.ts). `--since SIZE` (of `--log 2`, where there are several) proves instead that a checkpoint somebody kept is how the log of today began, `--public-key` prints what to
 * check it all with.
 */
import { parseArgs } from 'node:util'
import { archivedRecordsOf } from '@bankside/bank/audit/archived-payment'
import { logVerifiers, publicAuditKeys } from '@bankside/bank/audit/audit-keys'
import { provePayment } from '@bankside/bank/audit/prove'
import { type KeptPlace, proveConsistency } from '@bankside/bank/audit/prove-consistency'
import { type Audience, audiences, CannotProve } from '@bankside/bank/audit/prove-leaf'
import { openDatabase, sql, transact } from '@bankside/service-kit/postgres'
import { auditCommand, auditKeys, auditSources } from './audit-command.ts'
import { Complaint, print } from './commands/run-command.ts'

const usage =
  'usage: npm run -s audit:prove -- --payment ID [--for third-party | customer | auditor] [--archive FOLDER]\n       npm run -s audit:prove -- --since SIZE [--log NUMBER]\n       npm run -s audit:prove -- --public-key'

process.exitCode = await auditCommand(prove)

async function prove(): Promise<number> {
  const asked = readArguments()
  if ('publicKey' in asked) {
    print(JSON.stringify(publicAuditKeys(auditKeys()), undefined, 2))
    return 0
  }
  const { databaseUrl, keys } = await auditSources()
  const database = await openDatabase(databaseUrl, { maxConnections: 1 })
  const verifiers = logVerifiers(keys)
  try {
    // Before there is a snapshot: the files are read for as long as they are.
    const archived = 'archive' in asked && asked.archive ? await archivedRecordsOf(database, asked.payment, asked.archive) : []
    const proof = await transact(database, async (tx) => {
      await tx.query(sql.unsafe`set transaction isolation level repeatable read, read only`)
      return 'since' in asked
        ? proveConsistency(tx, asked.since, verifiers)
        : provePayment(tx, { paymentId: asked.payment, audience: asked.audience, verifiers, archived })
    })
    print(JSON.stringify(proof, undefined, 2))
    return 0
  } catch (error) {
    if (error instanceof CannotProve) throw new Complaint(`There is no proof: ${error.message}.`)
    throw error
  } finally {
    await database.end()
  }
}

type Asked =
  | { readonly payment: string; readonly audience: Audience; readonly archive: string | undefined }
  | { readonly since: KeptPlace }
  | { readonly publicKey: true }

function readArguments(): Asked {
  const { payment, since, log = '1', 'public-key': publicKey, for: audience, archive } = parse()
  if (publicKey) return { publicKey }
  if (since !== undefined && [since, log].every((text) => /^[1-9][0-9]{0,15}$/.test(text)))
    return { since: { log: Number(log), size: Number(since) } }
  const known = audiences.find((name) => name === audience)
  if (payment === undefined || known === undefined) throw new Complaint(usage)
  return { payment, audience: known, archive }
}

function parse() {
  try {
    const text = { type: 'string' } as const
    return parseArgs({
      options: {
        payment: text,
        since: text,
        log: text,
        archive: text,
        for: { ...text, default: 'third-party' },
        'public-key': { type: 'boolean' },
      },
    }).values
  } catch (error) {
    throw new Complaint(`${(error as Error).message}\n${usage}`)
  }
}
