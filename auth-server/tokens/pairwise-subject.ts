import { createHmac } from 'node:crypto'

/**
 * A customer's name towards one third party (OIDC-08): two of them cannot find out that they have the same customer. By
 * client, not by sector: two brands of one company are two clients here. The colon keeps it apart from every client id (FAPI2-AS-15).
 */
export const pairwiseSubject = (salt: string, customerId: string, clientId: string): string =>
  `psu:${createHmac('sha256', salt)
    .update(JSON.stringify([clientId, customerId]))
    .digest('base64url')}`
