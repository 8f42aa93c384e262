import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { type AuditRecordId, newAuditRecordId } from '../ids.ts'

export type AuditRecord = {
  /** Who did it: a client, a customer, or the name of a process of ours. */
  readonly actor: string
  /** `payment.submitted`: what it was done to, then what was done. */
  readonly action: string
  /** Id of what it was done to. */
  readonly subject: string
  /** x-fapi-interaction-id of the request that asked for it. */
  readonly interactionId?: string | undefined
  /** What a later reader needs to understand it. Never a token, password or key. */
  readonly details: Readonly<Record<string, unknown>>
  readonly now: Date
}

/** Appends to the audit log, in the transaction of what it records. Nobody can change or remove a record. */
export async function appendAudit(tx: Transaction, record: AuditRecord): Promise<AuditRecordId> {
  const recordId = newAuditRecordId()
  await tx.query(sql.unsafe`
    insert into audit.record (record_id, occurred_at, actor, action, subject, interaction_id, details)
    values (
      ${recordId}, ${sql.timestamp(record.now)}, ${record.actor}, ${record.action}, ${record.subject}, ${record.interactionId ?? null},
      ${sql.jsonb({ ...record.details })})`)
  return recordId
}
