"""The closed classes of English, and the small lists of what names nothing that a picture shows."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


CLOSED = {
    word: role
    for role, its in {
        "determiner": """a an the this these those my your his her its our their every each either
            both all any another such other others what which whose own""",
        "number": """zero one two three four five six seven eight nine ten eleven twelve thirteen
            fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty
            seventy eighty ninety hundred thousand million first second third fourth fifth sixth
            seventh eighth ninth tenth thirds half quarter many much several few fewer some various
            numerous countless more most less least enough multiple dozen once twice st nd rd th
            x cm mm km kg ft inch inches oz pcs pc""",
        "pronoun": """i you he she it we they me him us them mine yours hers ours theirs myself
            yourself himself herself itself ourselves themselves someone somebody something anyone
            anybody anything everyone everybody everything there here who whom""",
        "relative": "that",
        "auxiliary": """be am is are was were been being isnt arent have has had having do does did
            can could will would shall should may might must ought cannot seem seems seemed become
            becomes became becoming get gets got getting gotten let lets 's 're 've 'll 'm 'd ca wo
            keeps""",
        "negation": "not n't never hardly barely",
        "no": "no",
        "without": "without minus lacking lack lacks",
        "nobody": "nobody nothing none neither nowhere noone",
        "or": "or nor",
        "and": "and & plus",
        "but": "but yet however",
        "of": "of",
        "to": "to",
        "preposition": """in on at by with from into onto over under above below beneath underneath
            behind beside besides between among amongst amid along alongside across
            through throughout around about against toward towards up down off out
            near past inside outside upon within for during after before until till
            since via per atop aboard like than beyond opposite next""",
        "conjunction": """while when where because if although though so whereas whether unless why
            how then whilst as""",
        "adverb": """very too also just only really quite rather almost nearly still already again
            always often sometimes soon now today tonight yesterday tomorrow away together
            apart ahead forward forwards backward backwards upward upwards downward downwards
            sideways indoors outdoors upstairs downstairs aside afar far well fast even ever else
            instead maybe perhaps please abroad overseas everywhere somewhere
            anywhere nearby etc eg ie etcetera halfway yes
            hd uhd diy hello hi hey oh wow lol """,
    }.items()
    for word in its.split()
}
"""Words that are always of one role, by role."""

LISTENING = words("learn try want begin start prepare wait go love like help use able ready about")
"""What a "to" with an infinitive follows."""

QUANTITIES = words(
    """
    all amount any array assortment bit both bunch cluster collection couple dozen dozens each
    example few group half handful hundred hundreds kind line load lot majority many million
    millions mix mixture most none number one pair part piece plenty plethora portion quarter range
    rest row sample school selection series set several some sort style swarm third thousand
    thousands ton total trio type variety
    """
)
"""Before "of": how much of it there is."""

PLACES_OF_THINGS = words(
    """
    area beginning bottom center centre corner direction distance east edge end exterior front
    height inside interior left left-hand length location middle midst north outside place position
    rear right right-hand side south spot start surrounding surroundings top way west width
    """
)
"""Where something is within the picture or another thing."""

SIDES = words("left right left-hand right-hand")
"""Before a noun: which of two it is, or from where; in no tag."""

MEDIA = words(
    """
    backdrop background caption clipart download editorial file footage foreground gif hd hq image
    jpeg jpg photo photograph photography pic picture png px render rendering res resolution
    royalty scene shot size snapshot stock thumbnail title upload vector view wallpapers
    """
)
"""The picture itself, not what it shows."""

VAGUE = words(
    """
    am april august case day december february friday front hour january july june kind lot manner
    minute moment monday month november october one pm sake saturday september sort stuff thing
    thirds thursday time today tuesday type use version wednesday week while year
    """
)
"""Nouns that nothing in a picture stands for."""

MEDIA_VERBS = words("show contain depict feature include present display picture")
"""What a picture does with what it shows."""

SEASONS = words("spring fall afternoon noon")
"""Nouns of times that a picture shows, which the vocabulary has not, or as something else."""

SCENES = words(
    """
    arcade backstage bathroom bistro café center centre cityscape downtown harbor meadowland metro
    neighborhood outskirts skyline square theater
    """
)
"""Places that the vocabulary has not, or has as something else."""

THINGS = words(
    """
    coach cook cover drill drink fan groom guard guide inscription letter lettering model number
    pile present seal signature stand step swing text watch word
    """
)
"""Nouns for things, although the verb of the same letters is an action."""

NAMES = words(
    """
    adidas africa african airbus alaska alex alice america american amsterdam amy andrew anna
    arabic asia asian audi australia australian austria austrian barcelona beijing berlin bmw bob
    boeing boston brazil brazilian brian britain british california canada canadian caribbean
    charlie chicago chile china chinese chris coca cola croatia daniel danish david delhi denmark
    disney disneyland dr dubai dutch egypt egyptian elizabeth emma england english eric europe
    european finland finnish florida ford france french george german germany gobi google greece
    greek hamburg harry hawaii hindu hollywood honda iceland ikea india indian ireland irish israel
    italian italy jack james japan japanese jason jennifer jerry jessica jesus john julia karen
    kate kenya kevin korea korean laura lego lincoln linda lisa loki london lucy madrid manhattan
    maria mark marvel mary max mediterranean melbourne mercedes mexican mexico miami michael
    microsoft mike morocco moscow mr mrs ms mumbai mustang nancy netherlands nike norway norwegian
    obama oliver ontario paris paul peter poland portugal portuguese prague robert roman rome
    russia russian sam samsung sarah scotland scottish seattle shanghai siberia singapore sophie
    spain spanish starbucks steve susan sweden swedish swiss switzerland sydney texas thai thailand
    tokyo tom toronto toyota trump turkish uk ukraine usa vegas venice victoria vienna vietnam
    vietnamese volkswagen wales washington welsh wii william york
    """
)
"""Proper names that are common enough to come in lower case."""

SPELLINGS = {
    "aeroplane": "airplane", "aeroplanes": "airplanes", "tyre": "tire", "tyres": "tires",
    "kerb": "curb", "kerbs": "curbs", "moustache": "mustache", "moustaches": "mustaches",
    "plough": "plow", "ploughs": "plows", "ploughing": "plowing", "ploughed": "plowed",
    "pyjama": "pajama", "pyjamas": "pajamas", "jewellery": "jewelry", "grey": "gray",
    "theatre": "theater", "theatres": "theaters", "centre": "center", "centres": "centers",
    "metre": "meter", "litre": "liter", "fibre": "fiber", "catalogue": "catalog",
    "dialogue": "dialog", "traveller": "traveler", "travellers": "travelers",
    "travelling": "traveling", "travelled": "traveled", "cosy": "cozy", "yoghurt": "yogurt",
    "doughnut": "donut", "doughnuts": "donuts", "storey": "story", "cheque": "check",
    "chequered": "checkered", "woollen": "woolen", "sceptre": "scepter", "programme": "program",
    "mould": "mold", "moulded": "molded", "sulphur": "sulfur", "aluminium": "aluminum",
    "axe": "ax", "draught": "draft", "licence": "license", "practise": "practice",
    "practising": "practicing", "mum": "mom", "organised": "organized",
    "café": "cafe", "cafés": "cafes", "catalogues": "catalogs",
    "neighbour": "neighbor", "neighbours": "neighbors", "centred": "centered",
    "jewelled": "jeweled", "labelled": "labeled", "modelling": "modeling",
}  # fmt: skip
"""British -> American; the regular ones (colour, realise) are made by rule."""
