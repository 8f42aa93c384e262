import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPayeeAccount, maskAccountNumber } from './account-number.ts'
import { formatAmount } from './amount.ts'
import { formatExpiry, formatTransactionWindow } from './consent-terms.ts'
import { formatDate, formatDateTime, formatTime } from './date.ts'

test('CX-16 amounts: thousands, digits of the currency, a real minus sign, exact at any size', () => {
  const cases: [bigint, string, string][] = [
    [16_588n, 'GBP', '£165.88'],
    [123_456n, 'GBP', '£1,234.56'],
    [5n, 'GBP', '£0.05'],
    [0n, 'GBP', '£0.00'],
    [-350n, 'GBP', '\u2212£3.50'],
    [12_345_678_901_234_567_890_123_456n, 'EUR', '€123,456,789,012,345,678,901,234.56'],
    [1000n, 'JPY', 'JP¥1,000'],
    [5n, 'KWD', 'KWD\u00a00.005'],
    [199n, 'USD', 'US$1.99'],
  ]
  for (const [minor, currency, text] of cases) assert.equal(formatAmount({ minor, currency }), text)
})

test('CX-16 dates and times are those of the United Kingdom, summer and winter, with the zone', () => {
  assert.equal(formatDate(new Date('2026-11-21T12:00:00Z')), '21 November 2026')
  assert.equal(formatDate(new Date('2026-06-30T23:30:00Z')), '1 July 2026')
  assert.equal(formatTime(new Date('2026-11-21T14:05:00Z')), '14:05 GMT')
  assert.equal(formatTime(new Date('2026-07-21T14:05:00Z')), '15:05 BST')
  assert.equal(formatTime(new Date('2026-11-21T00:05:00Z')), '00:05 GMT')
  assert.equal(formatDateTime(new Date('2026-07-21T23:05:00Z')), '22 July 2026 at 00:05 BST')
})

test('SCA-08 CX-AIS-05 of an account number the last four characters are shown, of a short one none', () => {
  assert.equal(maskAccountNumber('12345678'), 'ending 5678')
  assert.equal(maskAccountNumber('GB29 NWBK 6016 1331 9268 19'), 'ending 6819')
  assert.equal(maskAccountNumber('1234'), 'number hidden')
  assert.equal(maskAccountNumber(''), 'number hidden')
})

test('CX-PIS-01 the payee’s account is shown in full, parted so that one can read it', () => {
  const sortCode = 'Sort code\u00a020-40-60, account\u00a0number\u00a012345678'
  assert.equal(formatPayeeAccount({ schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20406012345678' }), sortCode)
  assert.equal(formatPayeeAccount({ schemeName: 'SortCodeAccountNumber', identification: '20406012345678' }), sortCode)
  assert.equal(
    formatPayeeAccount({ schemeName: 'UK.OBIE.IBAN', identification: 'GB29NWBK60161331926819' }),
    'IBAN GB29 NWBK 6016 1331 9268 19',
  )
  assert.equal(formatPayeeAccount({ schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '2040' }), '2040')
  assert.equal(formatPayeeAccount({ schemeName: 'US.Fedwire', identification: '<1 2>' }), '<1 2>')
})

test('CX-AIS-03 CX-AIS-04 the length of a consent and the window of transactions, limited or not', () => {
  const [from, to] = [new Date('2026-05-21T00:00:00Z'), new Date('2027-11-21T00:00:00Z')]
  assert.equal(formatExpiry(to), 'Until 21 November 2027')
  assert.equal(formatExpiry(undefined), 'Until you stop it')
  assert.equal(formatTransactionWindow({ from, to }), 'From 21 May 2026 to 21 November 2027')
  assert.equal(formatTransactionWindow({ from }), 'From 21 May 2026 onwards')
  assert.equal(formatTransactionWindow({ to }), 'From when the account was opened to 21 November 2027')
  assert.equal(formatTransactionWindow({}), 'From when the account was opened')
})
