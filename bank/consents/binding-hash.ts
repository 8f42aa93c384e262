import { createHash } from 'node:crypto'
import type { Consent } from './consent.ts'

/**
 * What a second factor is bound to (SCA-RTS Art. 5, CX-PIS-04, CX-PIS-05): payee, amount, currency and the consent itself.
 * An array of JSON texts has one reading only, so no two consents share a hash. For account access, the consent alone: its
 * terms cannot change, and there is no payee.
 */
export function bindingHash(consent: Consent): Buffer {
  const bound =
    consent.kind === 'account_access'
      ? ['bankside account access 1', consent.id]
      : [
          'bankside payment 1',
          consent.id,
          consent.creditor.name,
          consent.creditor.schemeName,
          consent.creditor.identification,
          consent.amount.minor.toString(),
          consent.amount.currency,
        ]
  return createHash('sha256').update(JSON.stringify(bound)).digest()
}
