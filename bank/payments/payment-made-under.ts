import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { ConsentId, CustomerId, PaymentId } from '../ids.ts'

const row = z.object({ payment_id: z.custom<PaymentId>().nullable() })

/** Undefined where the consent is not this customer's, or nothing was paid under it. */
export async function paymentMadeUnder(tx: Transaction, consentId: ConsentId, customerId: CustomerId): Promise<PaymentId | undefined> {
  const { payment_id } = await tx.one(sql.type(row)`select payments.payment_made_under(${consentId}, ${customerId}) as payment_id`)
  return payment_id ?? undefined
}
