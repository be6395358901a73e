# ruff: noqa: E501, RUF001
"""One paragraph of prose in each of many languages, and the encodings that people keep such texts in."""

PROSE = {
    "ru": (
        """Вчера вечером мы долго сидели на кухне и говорили о том, как изменился наш город за последние десять лет. Старый рынок закрыли, на его месте построили большой торговый центр, но бабушки по-прежнему продают яблоки и укроп у входа в метро. Мой сосед, который всю жизнь работал на заводе, теперь разводит пчёл и каждую осень приносит нам банку мёда.""",
        ["cp1251", "koi8_r", "cp866", "iso8859_5"],
    ),
    "uk": (
        """Учора ввечері ми довго сиділи на кухні й говорили про те, як змінилося наше місто за останні десять років. Старий ринок закрили, на його місці збудували великий торговий центр, але бабусі й досі продають яблука та кріп біля входу в метро. Мій сусід, який усе життя працював на заводі, тепер розводить бджіл і щоосені приносить нам банку меду.""",
        ["cp1251", "koi8_u"],
    ),
    "bg": (
        """Снощи дълго седяхме в кухнята и говорихме за това колко се е променил нашият град през последните десет години. Старият пазар е затворен, а на негово място построиха голям търговски център, но бабите все още продават ябълки и копър пред входа на метрото. Моят съсед, който цял живот работеше в завода, сега гледа пчели и всяка есен ни носи буркан мед.""",
        ["cp1251"],
    ),
    "ja": (
        """昨日の夜、私たちは台所に長い間座って、この十年で町がどれほど変わったかを話しました。古い市場はなくなり、その場所には大きなショッピングセンターが建ちましたが、おばあさんたちは今でも駅の入り口でりんごを売っています。工場で一生働いていた隣の人は、今では蜂を飼っていて、毎年秋になると蜂蜜を持ってきてくれます。""",
        ["shift_jis", "euc_jp", "cp932"],
    ),
    "zh": (
        """昨天晚上，我们在厨房里坐了很久，谈论着这座城市在过去十年里发生了怎样的变化。老市场已经关闭，原来的地方盖起了一座很大的购物中心，可是老奶奶们仍然在地铁口卖苹果和香菜。我的邻居在工厂工作了一辈子，现在养起了蜜蜂，每年秋天都会给我们送来一罐蜂蜜。""",
        ["gbk", "gb18030", "gb2312"],
    ),
    "tw": (
        """昨天晚上，我們在廚房裡坐了很久，談論著這座城市在過去十年裡發生了怎樣的變化。老市場已經關閉，原來的地方蓋起了一座很大的購物中心，可是老奶奶們仍然在捷運口賣蘋果和香菜。我的鄰居在工廠工作了一輩子，現在養起了蜜蜂，每年秋天都會給我們送來一罐蜂蜜。""",
        ["big5"],
    ),
    "ko": (
        """어제 저녁 우리는 부엌에 오래 앉아서 지난 십 년 동안 우리 도시가 어떻게 변했는지 이야기했습니다. 오래된 시장은 문을 닫았고 그 자리에 큰 쇼핑센터가 들어섰지만, 할머니들은 아직도 지하철 입구에서 사과를 팔고 있습니다. 평생 공장에서 일한 이웃은 이제 벌을 키우며 가을마다 꿀 한 병을 가져다줍니다.""",
        ["euc_kr", "cp949"],
    ),
    "de": (
        """Gestern Abend saßen wir lange in der Küche und sprachen darüber, wie sich unsere Stadt in den letzten zehn Jahren verändert hat. Der alte Markt wurde geschlossen, an seiner Stelle steht jetzt ein großes Einkaufszentrum, aber die Großmütter verkaufen noch immer Äpfel am Eingang zur U-Bahn. Mein Nachbar züchtet jetzt Bienen und bringt uns jeden Herbst ein Glas Honig.""",
        ["cp1252", "latin_1"],
    ),
    "fr": (
        """Hier soir, nous sommes restés longtemps assis dans la cuisine à parler de la façon dont notre ville a changé ces dix dernières années. Le vieux marché a été fermé, on a bâti à sa place un grand centre commercial, mais les grand-mères vendent toujours des pommes à l'entrée du métro. Mon voisin élève maintenant des abeilles et nous apporte chaque automne un pot de miel.""",
        ["cp1252", "latin_1"],
    ),
    "es": (
        """Anoche estuvimos mucho tiempo sentados en la cocina y hablamos de cómo ha cambiado nuestra ciudad en los últimos diez años. Cerraron el viejo mercado y en su lugar construyeron un gran centro comercial, pero las abuelas todavía venden manzanas a la entrada del metro. ¿Quién lo habría imaginado? Mi vecino cría abejas y cada otoño nos trae un tarro de miel.""",
        ["cp1252", "latin_1"],
    ),
    "pl": (
        """Wczoraj wieczorem długo siedzieliśmy w kuchni i rozmawialiśmy o tym, jak zmieniło się nasze miasto w ciągu ostatnich dziesięciu lat. Stary rynek zamknięto, a na jego miejscu zbudowano duże centrum handlowe, ale babcie wciąż sprzedają jabłka przy wejściu do metra. Mój sąsiad, który całe życie pracował w fabryce, hoduje teraz pszczoły i każdej jesieni przynosi nam słoik miodu.""",
        ["cp1250", "iso8859_2"],
    ),
    "cs": (
        """Včera večer jsme dlouho seděli v kuchyni a mluvili o tom, jak se naše město za posledních deset let změnilo. Staré tržiště zavřeli a na jeho místě postavili velké obchodní centrum, ale babičky pořád prodávají jablka u vchodu do metra. Můj soused, který celý život pracoval v továrně, teď chová včely a každý podzim nám přinese sklenici medu.""",
        ["cp1250", "iso8859_2"],
    ),
    "hu": (
        """Tegnap este sokáig ültünk a konyhában, és arról beszélgettünk, mennyit változott a városunk az elmúlt tíz évben. A régi piacot bezárták, a helyén nagy bevásárlóközpontot építettek, de a nagymamák még mindig almát árulnak a metró bejáratánál. A szomszédom, aki egész életében a gyárban dolgozott, most méheket tart, és minden ősszel hoz nekünk egy üveg mézet.""",
        ["cp1250", "iso8859_2"],
    ),
    "el": (
        """Χθες το βράδυ καθίσαμε για πολλή ώρα στην κουζίνα και μιλούσαμε για το πώς άλλαξε η πόλη μας τα τελευταία δέκα χρόνια. Η παλιά αγορά έκλεισε και στη θέση της έχτισαν ένα μεγάλο εμπορικό κέντρο, αλλά οι γιαγιάδες πουλάνε ακόμα μήλα στην είσοδο του μετρό. Ο γείτονάς μου εκτρέφει τώρα μέλισσες και κάθε φθινόπωρο μας φέρνει ένα βάζο μέλι.""",
        ["cp1253", "iso8859_7"],
    ),
    "he": (
        """אתמול בערב ישבנו זמן רב במטבח ודיברנו על איך העיר שלנו השתנתה בעשר השנים האחרונות. השוק הישן נסגר, ובמקומו בנו מרכז קניות גדול, אבל הסבתות עדיין מוכרות תפוחים בכניסה לרכבת. השכן שלי עבד כל חייו במפעל, ועכשיו הוא מגדל דבורים ומביא לנו בכל סתיו צנצנת דבש.""",
        ["cp1255"],
    ),
    "ar": (
        """مساء أمس جلسنا طويلا في المطبخ وتحدثنا عن كيف تغيرت مدينتنا في السنوات العشر الأخيرة. أغلق السوق القديم وبني مكانه مركز تجاري كبير، لكن الجدات ما زلن يبعن التفاح عند مدخل المترو. جاري الذي عمل طوال حياته في المصنع يربي الآن النحل ويحضر لنا كل خريف جرة من العسل.""",
        ["cp1256", "iso8859_6"],
    ),
    "tr": (
        """Dün akşam uzun süre mutfakta oturduk ve şehrimizin son on yılda ne kadar değiştiğini konuştuk. Eski pazar kapandı, yerine büyük bir alışveriş merkezi yapıldı, ama nineler hâlâ metro girişinde elma satıyor. Bütün hayatı boyunca fabrikada çalışan komşum şimdi arı yetiştiriyor ve her sonbaharda bize bir kavanoz bal getiriyor.""",
        ["cp1254", "iso8859_9"],
    ),
    "th": (
        """เมื่อวานตอนเย็นเรานั่งอยู่ในครัวนานมากและคุยกันว่าเมืองของเราเปลี่ยนไปอย่างไรในช่วงสิบปีที่ผ่านมา ตลาดเก่าปิดไปแล้วและมีศูนย์การค้าขนาดใหญ่สร้างขึ้นแทน แต่คุณยายยังคงขายแอปเปิลที่ทางเข้ารถไฟใต้ดิน""",
        ["cp874", "tis_620"],
    ),
}
