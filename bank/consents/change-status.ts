import { type SqlFragment, sql, type Transaction } from '@bankside/service-kit/postgres'
import { type Change, carryOut } from '../events/carry-out.ts'
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
  await carryOut(tx, statusChange(consent, change))
  return changedBy(consent, change)
}

/** The same, to be carried out together with what the consent is changed for. */
export function statusChange(consent: Consent, change: ConsentChange): Change {
  checkMove(consent, change.to)
  const update = sql.fragment`
    update consents.consent set
      status = ${change.to}, status_updated_at = ${sql.timestamp(change.now)},
      status_reason_code = ${change.reason?.code ?? null}, status_reason_description = ${change.reason?.description ?? null}
    where consent_id = ${consent.id}`
  return toldChange(changedBy(consent, change), change, [update])
}

function changedBy<Changed extends Consent>(consent: Changed, { to, reason, now }: ConsentChange): Changed {
  return { ...consent, status: to, statusUpdatedAt: now, statusReason: reason }
}

export function checkMove(consent: Consent, to: ConsentStatus): void {
  if (!mayMove(consent, to)) refuse('consent_not_authorised', `a consent that is ${consent.status} does not become ${to}`)
}

type Telling = Omit<ConsentChange, 'to' | 'reason'>

/** Event and audit record, together with the statements that make the change. */
export async function tellOfChange(
  tx: Transaction,
  consent: Consent,
  change: Telling,
  statements: readonly SqlFragment[] = [],
): Promise<void> {
  await carryOut(tx, toldChange(consent, change, statements))
}

/** The event carries no personal data: whoever may know more asks for it (EV-06). */
export function toldChange(consent: Consent, change: Telling, statements: readonly SqlFragment[]): Change {
  const { action, actor, interactionId, now } = change
  const payload = { kind: consent.kind, status: consent.status, reason: consent.statusReason?.code ?? null }
  return {
    statements,
    events: [{ type: action, subject: consent.id, clientId: consent.clientId, customerId: consent.customerId, payload, now }],
    records: [{ actor, action, subject: consent.id, interactionId, details: { ...payload, ...change.details }, now }],
  }
}
