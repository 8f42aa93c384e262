import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase, sql, transact } from '@bankside/service-kit/postgres'
import { advancePayments } from '../../payments/advance-payments.ts'
import type { Payment } from '../../payments/payment.ts'
import { gbp, noon, openTestBank, type TestBank } from '../../payments/testing/test-bank.ts'
import { appendAudit } from '../append-audit.ts'
import { type AuditKeySet, logSigner, logVerifiers } from '../audit-keys.ts'
import type { Checkpoint } from '../checkpoint.ts'
import { checkpointFile, keptCheckpoints } from '../checkpoint-file.ts'
import { sealRows } from '../seal-rows.ts'
import { signTree } from '../sign-tree.ts'
import { missingCheckpoints, storedCheckpoints } from '../stored-checkpoints.ts'
import { leavesPerSeal } from '../stored-tree.ts'
import { type Verification, verifyAudit } from '../verify-audit.ts'

export function newAuditKeys(origin = 'audit.test/bank'): AuditKeySet {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  return { origin, keys: [{ kty: 'OKP', crv: 'Ed25519', d, x }] }
}

export type AuditedBank = Awaited<ReturnType<typeof openAuditedBank>>

/** A bank whose books are sealed and signed when a test says so. */
export async function openAuditedBank({ keys = newAuditKeys() } = {}) {
  const bank = await openTestBank()
  const sealer = await openDatabase(bank.urls.sealerUrl, { maxConnections: 4 })
  const folder = await mkdtemp(join(tmpdir(), 'bankside-audit-'))
  const file = join(folder, 'checkpoints.jsonl')
  const [signer, verifiers] = [logSigner(keys, noon), logVerifiers(keys)]

  const seal = async () => {
    while ((await sealRows(sealer, { now: noon })) === leavesPerSeal);
  }
  const unsealed = sql.unsafe`
    select exists (select from ledger.entry where written_in >= s.before) or exists (select from audit.record where written_in >= s.before)
    from (select coalesce((select before_xact from audit.seal order by log desc, first_leaf desc limit 1), 0) as before) s`
  /** Transactions of other test files, in databases of their own, hold the horizon back: they end soon. */
  const sealAll = async () => {
    for (await seal(); await bank.owner.oneFirst(unsealed); await seal()) await sleep(5)
  }
  const sign = () => signTree(sealer, { log: checkpointFile(file), signer, now: noon })
  return {
    ...bank,
    sealer,
    signer,
    verifiers,
    folder,
    file,
    keys,
    seal,
    sealAll,
    sign,
    sealAndSign: async () => {
      await sealAll()
      return sign()
    },
    /** With what stands in the database and in the file, as `npm run audit:verify` has it. */
    verify: async (since?: number, witnessed: readonly Checkpoint[] = []): Promise<Verification> => {
      const kept = (await keptCheckpoints(file, verifiers)).map((checkpoint) => ({ ...checkpoint, from: 'the file' }))
      const witnesses = witnessed.map((checkpoint) => ({ ...checkpoint, from: 'a witness' }))
      const stored = await storedCheckpoints(sealer, verifiers)
      const verified = await verifyAudit(sealer, {
        verifiers,
        checkpoints: [...kept, ...witnesses, ...stored.checkpoints],
        since: kept.find(({ size }) => size === since),
      })
      return { ...verified, findings: [...stored.findings, ...missingCheckpoints(stored, kept), ...verified.findings] }
    },
    pay: () => pay(bank),
    /** As the owner of the database could, in spite of all triggers. */
    tamper: (...queries: readonly ReturnType<typeof sql.unsafe>[]) =>
      transact(bank.owner, async (tx) => {
        await tx.query(sql.unsafe`set local session_replication_role = replica`)
        for (const query of queries) await tx.query(query)
      }),
    close: async () => {
      await sealer.end()
      await bank.close()
      await rm(folder, { recursive: true })
    },
  }
}

/** The consent of a test bank is written as a row: this is what lodging and authorising leave in the audit log. */
export async function recordConsent(
  bank: Pick<TestBank, 'worker'>,
  { consentId, clientId, customerId, debtorAccountId, amount }: Payment,
): Promise<void> {
  for (const [action, actor, details] of [
    ['consent.lodged', clientId, { amountMinor: String(amount.minor), currency: amount.currency }],
    ['consent.authorised', customerId, { status: 'AUTH', accounts: [debtorAccountId] }],
  ] as const)
    await transact(bank.worker, (tx) => appendAudit(tx, { actor, action, subject: consentId, details, now: noon }))
}

/** Submitted and posted. */
async function pay(bank: Awaited<ReturnType<typeof openTestBank>>): Promise<Payment> {
  const [from, to] = [await bank.newAccount({ funds: 5_000n }), await bank.newAccount()]
  const submitted = await bank.submit(await bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(1000) }))
  await recordConsent(bank, submitted)
  await advancePayments(bank.worker, { now: noon, limit: 10 })
  return submitted
}
