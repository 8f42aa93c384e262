import type { NewEvent } from '../events/record-event.ts'
import { formatMoney } from '../money.ts'
import type { Payment } from './payment.ts'

/** Tells of the state that a payment has just come to: `payment.held`, `payment.posted`, `payment.rejected`. */
export function paymentEvent(payment: Payment): NewEvent {
  return {
    type: `payment.${payment.status}`,
    subject: payment.id,
    clientId: payment.clientId,
    customerId: payment.customerId,
    payload: {
      paymentId: payment.id,
      consentId: payment.consentId,
      status: payment.status,
      ...(payment.rejectionReason !== undefined && { reason: payment.rejectionReason }),
      amount: formatMoney(payment.amount),
      currency: payment.amount.currency,
      creditorName: payment.creditor.name,
    },
    now: payment.statusUpdatedAt,
  }
}
