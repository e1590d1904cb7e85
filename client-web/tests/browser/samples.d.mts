export function photo(): Buffer;
export function screenshot(): Buffer;
