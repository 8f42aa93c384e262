import { type SqlFragment, sql, type Transaction } from '@bankside/service-kit/postgres'
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
  const recordId = newAuditRecordId(record.now)
  await tx.query(sql.unsafe`${insertRecords([{ ...record, recordId }])}`)
  return recordId
}

/** The statement that appends them: one text for any number, which is prepared once. */
export function insertRecords(records: readonly (AuditRecord & { readonly recordId?: AuditRecordId })[]): SqlFragment {
  const rows = records.map(({ recordId, actor, action, subject, interactionId, details, now }) => {
    return {
      record_id: recordId ?? newAuditRecordId(now),
      occurred_at: now,
      actor,
      action,
      subject,
      interaction_id: interactionId,
      details,
    }
  })
  return sql.fragment`
    insert into audit.record (record_id, occurred_at, actor, action, subject, interaction_id, details)
    select record_id, occurred_at, actor, action, subject, interaction_id, details
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as seen (
      record_id text, occurred_at timestamptz, actor text, action text, subject text, interaction_id text, details jsonb)`
}
