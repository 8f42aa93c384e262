import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import { recordEvent } from '../events/record-event.ts'
import { refuse } from '../refusal.ts'
import { type Consent, type ConsentStatus, mayMove, type StatusReason } from './consent.ts'

export type ConsentChange = {
  readonly to: ConsentStatus
  readonly reason: StatusReason | undefined
  /** `consent.revoked`: how the change is called in events and in the audit log. */
  readonly action: string
  readonly actor: string
  readonly interactionId?: string | undefined
  /** For the audit log only. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly now: Date
}

/**
 * Moves a locked consent along its state table, and tells of it. Every act of this folder that changes a status ends here.
 *
 * @throws {Refusal} `consent_not_authorised` for a move that is not drawn (CON-01).
 */
export async function changeStatus<Changed extends Consent>(tx: Transaction, consent: Changed, change: ConsentChange): Promise<Changed> {
  checkMove(consent, change.to)
  await tx.query(sql.unsafe`
    update consents.consent set
      status = ${change.to}, status_updated_at = ${sql.timestamp(change.now)},
      status_reason_code = ${change.reason?.code ?? null}, status_reason_description = ${change.reason?.description ?? null}
    where consent_id = ${consent.id}`)
  const changed = { ...consent, status: change.to, statusUpdatedAt: change.now, statusReason: change.reason }
  await tellOfChange(tx, changed, change)
  return changed
}

export function checkMove(consent: Consent, to: ConsentStatus): void {
  if (!mayMove(consent, to)) refuse('consent_not_authorised', `a consent that is ${consent.status} does not become ${to}`)
}

/** Event and audit record. The event carries no personal data: whoever may know more asks for it (EV-06). */
export async function tellOfChange(tx: Transaction, consent: Consent, change: Omit<ConsentChange, 'to' | 'reason'>): Promise<void> {
  const { action, actor, interactionId, now } = change
  const payload = { kind: consent.kind, status: consent.status, reason: consent.statusReason?.code ?? null }
  await recordEvent(tx, { type: action, subject: consent.id, clientId: consent.clientId, customerId: consent.customerId, payload, now })
  await appendAudit(tx, { actor, action, subject: consent.id, interactionId, details: { ...payload, ...change.details }, now })
}
