import { sql, type Transaction } from '@bankside/service-kit/postgres'
import type { ClientId, CustomerId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import { type Payment, paymentColumns, paymentRow, toPayment } from './payment.ts'

/** A third party sees the payments it made (RW-D), a customer those from or to their accounts (NAT-S6). */
export type PaymentViewer = { readonly clientId: ClientId } | { readonly customerId: CustomerId }

/** @throws {Refusal} `payment_not_found`, also for a payment that a customer must not know of; `consent_not_yours` for one of another client (D4). */
export async function getPayment(
  tx: Transaction,
  { paymentId, ...viewer }: { readonly paymentId: string } & PaymentViewer,
): Promise<Payment> {
  const mayBeSeen =
    'clientId' in viewer
      ? sql.fragment`true`
      : sql.fragment`(p.customer_id = ${viewer.customerId} or (p.status = 'posted' and exists (
          select from ledger.account a where a.account_id = p.creditor_account_id and a.customer_id = ${viewer.customerId})))`
  const row = await tx.maybeOne(sql.type(paymentRow)`
    select ${paymentColumns} from payments.payment p where p.payment_id = ${paymentId} and ${mayBeSeen}`)
  if (row === null) refuse('payment_not_found', 'no such payment for this viewer')
  if ('clientId' in viewer && row.client_id !== viewer.clientId)
    refuse('consent_not_yours', 'the payment is of another client', { path: 'DomesticPaymentId' })
  return toPayment(row)
}
