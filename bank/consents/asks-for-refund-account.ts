import type { PaymentConsent } from './consent.ts'

/** Whether the third party asked to be told which account paid, so that it can refund it (PIS-08). The customer is shown that it did. */
export function asksForRefundAccount({ request }: PaymentConsent): boolean {
  const sent = request as { readonly Data?: { readonly ReadRefundAccount?: unknown } } | null
  return sent?.Data?.ReadRefundAccount === 'Yes'
}
