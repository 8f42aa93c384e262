import { lodgeAccountInformation } from '@bankside/bank/consents/account-information-detail'
import type { AccountAccessConsent } from '@bankside/bank/consents/consent'
import { lodgeTransferConsent } from '@bankside/bank/consents/lodge-transfer-consent'
import { lodgePaymentInitiation } from '@bankside/bank/consents/payment-detail'
import type { ConsentId } from '@bankside/bank/ids'
import type { Transaction } from '@bankside/service-kit/postgres'
import type { Client } from 'oidc-provider'
import { isFirstParty } from '../storage/client-storage.ts'
import type { Intent } from './intent.ts'

type Lodging = {
  readonly client: Client
  /** The consent that the terms are added to, if they are. */
  readonly mergedInto?: AccountAccessConsent | undefined
  readonly interactionId: string | undefined
  readonly now: Date
}

/**
 * The consent that is named, or the one that is lodged now for terms that came with the request.
 *
 * @throws {Refusal} of the terms, as they are now.
 */
export async function consentOfIntent(
  tx: Transaction,
  intent: Intent | undefined,
  { client, mergedInto, interactionId, now }: Lodging,
): Promise<ConsentId | undefined> {
  if (intent === undefined) return undefined
  if (intent.type === 'openbanking_consent') return intent.consentId
  const order = { clientId: client.clientId, detail: intent.detail, interactionId, now }
  if (intent.type === 'account_information') return (await lodgeAccountInformation(tx, { ...order, mergedInto })).id
  return (await (isFirstParty(client) ? lodgeTransferConsent(tx, order) : lodgePaymentInitiation(tx, order))).id
}
