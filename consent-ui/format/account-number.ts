/** `Ending 4567`: as much of an account number or IBAN as a screen shows (SCA-08). A number too short to hide anything shows no digit. */
export function maskAccountNumber(number: string): string {
  const plain = number.replace(/[\s-]/g, '')
  return plain.length > 4 ? `ending ${plain.slice(-4)}` : 'number hidden'
}

/**
 * The account of a payee, in full, since the customer must be able to check it (CX-PIS-01). A British sort code and account number are parted,
 * an IBAN is grouped in fours, and no line breaks before a number; another scheme is shown as it was entered.
 */
export function formatPayeeAccount({ schemeName, identification }: { schemeName: string; identification: string }): string {
  const plain = identification.replace(/\s/g, '')
  const scheme = schemeName.split('.').at(-1)
  const [, sortCode, accountNumber] = /^(\d{6})(\d{8})$/.exec(plain) ?? []
  if (scheme === 'SortCodeAccountNumber' && sortCode && accountNumber)
    return `Sort code\u00a0${sortCode.replace(/(\d\d)(?=\d)/g, '$1-')}, account\u00a0number\u00a0${accountNumber}`
  if (scheme === 'IBAN') return `IBAN ${plain.replace(/(.{4})(?=.)/g, '$1 ')}`
  return identification
}
